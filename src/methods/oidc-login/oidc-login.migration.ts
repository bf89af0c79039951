import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class OidcIdentities1700000411000 implements MigrationInterface {
  name = 'OidcIdentities1700000411000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'oidc_identities',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'issuer', type: 'varchar', length: '255' },
          { name: 'subject', type: 'varchar', length: '255' },
          { name: 'provider', type: 'varchar', length: '24' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['issuer', 'subject'], isUnique: true }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('oidc_identities');
  }
}
