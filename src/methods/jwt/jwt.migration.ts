import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

export class Jwt1700000304000 implements MigrationInterface {
  name = 'Jwt1700000304000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'token_families',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'epoch', type: 'integer' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'amr', type: 'text' },
          { name: 'authAt', type: INSTANT },
          { name: 'userAgent', type: 'varchar', length: '200' },
          { name: 'createdAt', type: INSTANT },
          { name: 'expiresAt', type: INSTANT },
          { name: 'revokedAt', type: INSTANT, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['expiresAt'] }],
        foreignKeys: [reference('userId', 'users')],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'refresh_tokens',
        columns: [
          { name: 'id', type: 'varchar', length: '22', isPrimary: true },
          { name: 'familyId', type: 'varchar', length: '36' },
          { name: 'hash', type: 'varchar', length: '64' },
          { name: 'expiresAt', type: INSTANT },
          { name: 'usedAt', type: INSTANT, isNullable: true },
        ],
        indices: [{ columnNames: ['familyId'] }],
        foreignKeys: [reference('familyId', 'token_families')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('refresh_tokens');
    await runner.dropTable('token_families');
  }
}
