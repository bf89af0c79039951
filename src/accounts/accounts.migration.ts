import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { USERS_TABLE } from '../users/user.entity.js';
import { KnownNetwork } from './known-network.entity.js';

export class KnownNetworks1700000900000 implements MigrationInterface {
  name = 'KnownNetworks1700000900000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'known_networks',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'network', type: 'varchar', length: '45', isPrimary: true },
          { name: 'seenAt', type: DATE_COLUMN },
        ],
        indices: [{ columnNames: ['seenAt'] }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('known_networks');
  }
}

export const accountsSchema = {
  entities: [KnownNetwork],
  migrations: [KnownNetworks1700000900000],
};
