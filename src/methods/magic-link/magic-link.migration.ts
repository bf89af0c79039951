import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class MagicLinks1700000850000 implements MigrationInterface {
  name = 'MagicLinks1700000850000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'magic_links',
        columns: [
          { name: 'mailbox', type: 'varchar', length: '43', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36', isNullable: true },
          { name: 'epoch', type: 'integer' },
          { name: 'tokenHash', type: 'varchar', length: '64' },
          { name: 'browserHash', type: 'varchar', length: '64' },
          { name: 'codeMac', type: 'varchar', length: '43' },
          { name: 'attempts', type: 'integer' },
          { name: 'issuer', type: 'varchar', length: '40' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'returnTo', type: 'varchar', length: '1000', isNullable: true },
          { name: 'expiresAt', type: DATE_COLUMN },
        ],
        indices: [
          { columnNames: ['userId'] },
          { columnNames: ['tokenHash'], isUnique: true },
          { columnNames: ['expiresAt'] },
        ],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('magic_links');
  }
}
