import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class Mtls1700000405000 implements MigrationInterface {
  name = 'Mtls1700000405000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'client_certificates',
        columns: [
          { name: 'id', type: 'varchar', length: '32', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'fingerprint', type: 'varchar', length: '64' },
          { name: 'scopes', type: 'text', isNullable: true },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'expiresAt', type: DATE_COLUMN },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
          { name: 'revokedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['revokedAt'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'certificate_authorities',
        columns: [
          { name: 'name', type: 'varchar', length: '16', isPrimary: true },
          { name: 'certificate', type: 'text' },
          { name: 'sealed', type: 'text' },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('certificate_authorities');
    await runner.dropTable('client_certificates');
  }
}
