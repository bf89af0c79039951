import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

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
          { name: 'challengeUntil', type: DATE_COLUMN },
          { name: 'provedAt', type: DATE_COLUMN, isNullable: true },
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
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('signature_keys');
  }
}
