import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

export class HmacKeys1700000400000 implements MigrationInterface {
  name = 'HmacKeys1700000400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'hmac_keys',
        columns: [
          { name: 'id', type: 'varchar', length: '16', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'sealed', type: 'text' },
          { name: 'previousSealed', type: 'text', isNullable: true },
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
    await runner.dropTable('hmac_keys');
  }
}
