import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';
import { AccountToken } from './account-token.entity.js';
import { KnownNetwork } from './known-network.entity.js';

export class KnownNetworks1700000900000 implements MigrationInterface {
  name = 'KnownNetworks1700000900000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'known_networks',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'network', type: 'varchar', length: '45', isPrimary: true },
          { name: 'seenAt', type: DATE_COLUMN },
        ],
        indices: [{ columnNames: ['seenAt'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('known_networks');
  }
}

export class AccountTokens1700000910000 implements MigrationInterface {
  name = 'AccountTokens1700000910000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'account_tokens',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'purpose', type: 'varchar', length: '20' },
          { name: 'hash', type: 'varchar', length: '43' },
          { name: 'accountId', type: 'varchar', length: '36', isNullable: true },
          { name: 'address', type: 'varchar', length: '254' },
          { name: 'payload', type: 'text' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN },
          { name: 'usedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [
          { columnNames: ['hash'], isUnique: true },
          { columnNames: ['purpose', 'address'] },
          { columnNames: ['accountId', 'purpose'] },
          { columnNames: ['expiresAt'] },
        ],
        foreignKeys: [foreignKey('accountId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('account_tokens');
  }
}

export const accountsSchema = {
  entities: [KnownNetwork, AccountToken],
  migrations: [KnownNetworks1700000900000, AccountTokens1700000910000],
};
