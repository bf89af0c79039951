import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class Digest1700000403000 implements MigrationInterface {
  name = 'Digest1700000403000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'digest_credentials',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'sealed', type: 'text' },
          { name: 'userhashSha256', type: 'varchar', length: '64' },
          { name: 'userhashSha512256', type: 'varchar', length: '64' },
          { name: 'passwordChangedAt', type: DATE_COLUMN },
          { name: 'enabledAt', type: DATE_COLUMN },
        ],
        indices: [{ columnNames: ['userhashSha256'] }, { columnNames: ['userhashSha512256'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'digest_nonces',
        columns: [
          { name: 'id', type: 'varchar', length: '22', isPrimary: true },
          { name: 'nc', type: 'bigint' },
          { name: 'until', type: 'bigint' },
        ],
        indices: [{ columnNames: ['until'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('digest_nonces');
    await runner.dropTable('digest_credentials');
  }
}
