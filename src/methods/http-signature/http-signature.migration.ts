import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

export class SignatureKeys1700000401000 implements MigrationInterface {
  name = 'SignatureKeys1700000401000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'signature_keys',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'algorithm', type: 'varchar', length: '32' },
          { name: 'publicJwk', type: 'text' },
          { name: 'challenge', type: 'varchar', length: '500' },
          { name: 'challengeUntil', type: INSTANT },
          { name: 'provedAt', type: INSTANT, isNullable: true },
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
    await runner.dropTable('signature_keys');
  }
}
