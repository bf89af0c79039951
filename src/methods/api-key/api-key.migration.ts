import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class ApiKeys1700000200000 implements MigrationInterface {
  name = 'ApiKeys1700000200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'api_keys',
        columns: [
          { name: 'id', type: 'varchar', length: '16', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'secretHash', type: 'varchar', length: '64' },
          { name: 'previousHash', type: 'varchar', length: '64', isNullable: true },
          { name: 'previousUntil', type: DATE_COLUMN, isNullable: true },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'allowedIps', type: 'text', isNullable: true },
          { name: 'parentId', type: 'varchar', length: '16', isNullable: true },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN, isNullable: true },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'revokedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['parentId'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('api_keys');
  }
}
