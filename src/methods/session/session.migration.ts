import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class Sessions1700000305000 implements MigrationInterface {
  name = 'Sessions1700000305000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'sessions',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'idHash', type: 'varchar', length: '64' },
          { name: 'previousHash', type: 'varchar', length: '64', isNullable: true },
          { name: 'previousUntil', type: DATE_COLUMN, isNullable: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'epoch', type: 'integer' },
          { name: 'roles', type: 'text' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'amr', type: 'text' },
          { name: 'authAt', type: DATE_COLUMN },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'lastSeenAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN },
          { name: 'revokedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'userAgent', type: 'varchar', length: '200', isNullable: true },
          { name: 'ip', type: 'varchar', length: '45' },
        ],
        indices: [
          { columnNames: ['idHash'], isUnique: true },
          { columnNames: ['previousHash'] },
          { columnNames: ['userId'] },
        ],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
      // The table may exist: earlier databases ran this migration under the name Sessions1700000303000.
      true,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('sessions');
  }
}
