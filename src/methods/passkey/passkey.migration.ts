import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../../database/columns.js';
import { USERS_TABLE } from '../../users/user.entity.js';

export class Passkeys1700000430000 implements MigrationInterface {
  name = 'Passkeys1700000430000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'passkeys',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'userId', type: 'varchar', length: '36' },
          { name: 'credentialId', type: 'varchar', length: '1364' },
          { name: 'publicKey', type: 'text' },
          { name: 'algorithm', type: 'integer' },
          { name: 'counter', type: 'bigint' },
          { name: 'transports', type: 'text' },
          { name: 'backupEligible', type: 'boolean' },
          { name: 'backedUp', type: 'boolean' },
          { name: 'aaguid', type: 'varchar', length: '36' },
          { name: 'name', type: 'varchar', length: '100' },
          { name: 'createdAt', type: DATE_COLUMN },
          { name: 'lastUsedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['userId'] }, { columnNames: ['credentialId'], isUnique: true }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'passkey_user_handles',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'handle', type: 'varchar', length: '86' },
        ],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('passkey_user_handles');
    await runner.dropTable('passkeys');
  }
}
