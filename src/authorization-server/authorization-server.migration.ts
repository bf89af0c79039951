import { Table, TableIndex, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';

const account = foreignKey('accountId', USERS_TABLE);

export class OauthServer1700000407000 implements MigrationInterface {
  name = 'OauthServer1700000407000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'oauth_clients',
        columns: [
          { name: 'id', type: 'varchar', length: '255', isPrimary: true },
          { name: 'accountId', type: 'varchar', length: '36', isNullable: true },
          { name: 'tenantId', type: 'varchar', length: '36', isNullable: true },
          { name: 'metadata', type: 'text' },
          { name: 'sealedSecret', type: 'text', isNullable: true },
          { name: 'createdAt', type: DATE_COLUMN },
        ],
        indices: [{ columnNames: ['accountId'] }],
        foreignKeys: [account],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'oauth_records',
        columns: [
          { name: 'id', type: 'varchar', length: '43', isPrimary: true },
          { name: 'kind', type: 'varchar', length: '40' },
          { name: 'accountId', type: 'varchar', length: '36', isNullable: true },
          { name: 'epoch', type: 'integer', isNullable: true },
          { name: 'clientId', type: 'varchar', length: '255', isNullable: true },
          { name: 'grantId', type: 'varchar', length: '43', isNullable: true },
          { name: 'alias', type: 'varchar', length: '64', isNullable: true },
          { name: 'sealed', type: 'text' },
          { name: 'consumedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'polledAt', type: DATE_COLUMN, isNullable: true },
          { name: 'expiresAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: ['accountId', 'clientId', 'grantId', 'alias', 'expiresAt'].map((name) => ({
          columnNames: [name],
        })),
        foreignKeys: [account],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('oauth_records');
    await runner.dropTable('oauth_clients');
  }
}

/** When an unused client without an initial access token is deleted. */
export class OauthClientExpiry1700000502000 implements MigrationInterface {
  name = 'OauthClientExpiry1700000502000';

  async up(runner: QueryRunner): Promise<void> {
    // TypeORM's API would recreate the table on SQLite.
    await runner.query(`ALTER TABLE oauth_clients ADD COLUMN "expiresAt" ${DATE_COLUMN}`);
    await runner.createIndex('oauth_clients', new TableIndex({ columnNames: ['expiresAt'] }));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropIndex('oauth_clients', new TableIndex({ columnNames: ['expiresAt'] }));
    await runner.query('ALTER TABLE oauth_clients DROP COLUMN "expiresAt"');
  }
}
