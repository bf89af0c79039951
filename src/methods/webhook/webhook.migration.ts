import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class Webhooks1700000404000 implements MigrationInterface {
  name = 'Webhooks1700000404000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'webhook_sources',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'secret', type: 'varchar', length: '300' },
          { name: 'previousSecret', type: 'varchar', length: '300', isNullable: true },
          { name: 'previousUntil', type: DATE_COLUMN, isNullable: true },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN, isNullable: true },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'revokedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'webhook_messages',
        columns: [
          { name: 'sourceId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'id', type: 'varchar', length: '256', isPrimary: true },
          { name: 'until', type: 'bigint' },
        ],
        indices: [{ columnNames: ['until'] }],
        foreignKeys: [foreignKey('sourceId', 'webhook_sources')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('webhook_messages');
    await runner.dropTable('webhook_sources');
  }
}
