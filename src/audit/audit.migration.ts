import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

const text = (name: string, length: number, isNullable = true) => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable,
});

export class Audit1700000301000 implements MigrationInterface {
  name = 'Audit1700000301000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'audit_events',
        columns: [
          { name: 'seq', type: 'bigint', isPrimary: true },
          { name: 'at', type: DATE_COLUMN },
          text('event', 40, false),
          text('userId', 36),
          text('tenantId', 36),
          text('method', 40),
          text('credentialId', 64),
          text('ip', 45),
          text('requestId', 36),
          text('target', 120),
          { name: 'details', type: 'text' },
          text('keyId', 8, false),
          text('hash', 43, false),
        ],
        indices: [
          { columnNames: ['tenantId', 'seq'] },
          { columnNames: ['tenantId', 'event', 'seq'] },
          { columnNames: ['tenantId', 'userId', 'seq'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'audit_head',
        columns: [
          { name: 'id', type: 'integer', isPrimary: true },
          { name: 'seq', type: 'bigint' },
          text('hash', 43, false),
        ],
      }),
    );
    await runner.query(`INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('audit_head');
    await runner.dropTable('audit_events');
  }
}
