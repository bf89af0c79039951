import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class TotpSecrets1700000820000 implements MigrationInterface {
  name = 'TotpSecrets1700000820000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'totp_secrets',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'sealed', type: 'varchar', length: '200' },
          { name: 'lastStep', type: 'integer' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'confirmedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('totp_secrets');
  }
}
