import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

export class AccessKeys1700000402000 implements MigrationInterface {
  name = 'AccessKeys1700000402000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'access_keys',
        columns: [
          { name: 'id', type: 'varchar', length: '20', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'sealed', type: 'varchar', length: '200' },
          { name: 'previousSealed', type: 'varchar', length: '200', isNullable: true },
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
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('access_keys');
  }
}
