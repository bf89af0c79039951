import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

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
          { name: 'previousUntil', type: INSTANT, isNullable: true },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'createdAt', type: INSTANT },
          { name: 'expiresAt', type: INSTANT, isNullable: true },
          { name: 'lastUsedAt', type: INSTANT, isNullable: true },
          { name: 'revokedAt', type: INSTANT, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }],
        foreignKeys: [reference('userId', 'users')],
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
        foreignKeys: [reference('sourceId', 'webhook_sources')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('webhook_messages');
    await runner.dropTable('webhook_sources');
  }
}
