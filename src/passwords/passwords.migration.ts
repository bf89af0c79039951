import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';

const userId = foreignKey('userId', USERS_TABLE);

export class Passwords1700000002000 implements MigrationInterface {
  name = 'Passwords1700000002000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'passwords',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'hash', type: 'varchar', length: '255' },
          { name: 'changedAt', type: DATE_COLUMN },
        ],
        foreignKeys: [userId],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'known_addresses',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'address', type: 'varchar', length: '45', isPrimary: true },
          { name: 'seenAt', type: DATE_COLUMN },
        ],
        indices: [{ columnNames: ['seenAt'] }],
        foreignKeys: [userId],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('known_addresses');
    await runner.dropTable('passwords');
  }
}
