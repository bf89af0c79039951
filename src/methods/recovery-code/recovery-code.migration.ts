import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class RecoveryCodes1700000830000 implements MigrationInterface {
  name = 'RecoveryCodes1700000830000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'recovery_codes',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'mac', type: 'varchar', length: '43' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'usedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId', 'mac'], isUnique: true }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('recovery_codes');
  }
}
