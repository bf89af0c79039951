import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';

export class AccessTokens1700000406000 implements MigrationInterface {
  name = 'AccessTokens1700000406000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'access_tokens',
        columns: [
          { name: 'id', type: 'varchar', length: '43', isPrimary: true },
          { name: 'accountId', type: 'varchar', length: '36' },
          { name: 'clientId', type: 'varchar', length: '255' },
          { name: 'grantId', type: 'varchar', length: '43', isNullable: true },
          { name: 'parentId', type: 'varchar', length: '43', isNullable: true },
          { name: 'epoch', type: 'integer' },
          { name: 'content', type: 'text' },
          { name: 'expiresAt', type: DATE_COLUMN },
        ],
        indices: ['accountId', 'clientId', 'grantId', 'parentId', 'expiresAt'].map((name) => ({
          columnNames: [name],
        })),
        foreignKeys: [foreignKey('accountId', USERS_TABLE), foreignKey('parentId', 'access_tokens')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('access_tokens');
  }
}
