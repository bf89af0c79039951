import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

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
          { name: 'authAt', type: DATE_COLUMN },
          { name: 'userAgent', type: 'varchar', length: '200' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN },
          { name: 'revokedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['expiresAt'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'refresh_tokens',
        columns: [
          { name: 'id', type: 'varchar', length: '22', isPrimary: true },
          { name: 'familyId', type: 'varchar', length: '36' },
          { name: 'hash', type: 'varchar', length: '64' },
          { name: 'expiresAt', type: DATE_COLUMN },
          { name: 'usedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['familyId'] }],
        foreignKeys: [foreignKey('familyId', 'token_families')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('refresh_tokens');
    await runner.dropTable('token_families');
  }
}

/** The successor of a used refresh token, for repeats. */
export class JwtSuccessors1700000715000 implements MigrationInterface {
  name = 'JwtSuccessors1700000715000';

  async up(runner: QueryRunner): Promise<void> {
    // TypeORM's API would recreate the table on SQLite.
    await runner.query('ALTER TABLE refresh_tokens ADD COLUMN "sealedSuccessor" text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE refresh_tokens DROP COLUMN "sealedSuccessor"');
  }
}
