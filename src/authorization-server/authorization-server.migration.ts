import { Table, TableIndex, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';
import { pageOriginsOf } from './clients/oauth-client.entity.js';

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

/** The origins of the pages of public clients, also of those that are registered already. */
export class OauthClientOrigins1700000607000 implements MigrationInterface {
  name = 'OauthClientOrigins1700000607000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'oauth_client_origins',
        columns: [
          { name: 'clientId', type: 'varchar', length: '255', isPrimary: true },
          { name: 'origin', type: 'text', isPrimary: true },
        ],
        indices: [{ columnNames: ['origin'] }],
        foreignKeys: [foreignKey('clientId', 'oauth_clients')],
      }),
    );
    const { manager } = runner;
    const clients = await manager
      .createQueryBuilder()
      .select(['id', 'metadata'])
      .from('oauth_clients', 'oauth_clients')
      .getRawMany<{ id: string; metadata: string }>();
    for (const { id, metadata } of clients)
      for (const origin of pageOriginsOf(JSON.parse(metadata) as object))
        await manager
          .createQueryBuilder()
          .insert()
          .into('oauth_client_origins', ['clientId', 'origin'])
          .values({ clientId: id, origin })
          .execute();
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('oauth_client_origins');
  }
}
