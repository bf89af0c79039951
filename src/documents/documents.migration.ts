import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

const id = (name: string, isPrimary = false) => ({ name, type: 'varchar', length: '36', isPrimary });
const reference = (column: string, table: string, onDelete?: 'CASCADE') => ({
  columnNames: [column],
  referencedTableName: table,
  referencedColumnNames: ['id'],
  ...(onDelete && { onDelete }),
});

export class Documents1700000100000 implements MigrationInterface {
  name = 'Documents1700000100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'documents',
        columns: [
          id('id', true),
          id('tenantId'),
          id('ownerId'),
          { name: 'title', type: 'varchar', length: '200' },
          { name: 'body', type: 'text' },
          { name: 'notes', type: 'text' },
          { name: 'status', type: 'varchar', length: '20' },
          { name: 'classification', type: 'varchar', length: '20' },
          { name: 'version', type: 'integer' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'updatedAt', type: DATE_COLUMN },
        ],
        indices: ['createdAt', 'title'].flatMap((sort) => [
          { columnNames: ['tenantId', sort, 'id'] },
          { columnNames: ['tenantId', 'status', sort, 'id'] },
          { columnNames: ['ownerId', sort, 'id'] },
        ]),
        foreignKeys: [reference('tenantId', 'tenants'), reference('ownerId', 'users')],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'document_shares',
        columns: [
          id('documentId', true),
          id('userId', true),
          { name: 'level', type: 'varchar', length: '10' },
        ],
        indices: [{ columnNames: ['userId', 'documentId'] }],
        foreignKeys: [
          reference('documentId', 'documents', 'CASCADE'),
          reference('userId', 'users', 'CASCADE'),
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('document_shares');
    await runner.dropTable('documents');
  }
}
