import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { INSTANT, reference } from '../../database/index.js';

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
          { name: 'createdAt', type: INSTANT },
          { name: 'lastUsedAt', type: INSTANT, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['issuer', 'subject'], isUnique: true }],
        foreignKeys: [reference('userId', 'users')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('oidc_identities');
  }
}
