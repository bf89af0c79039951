import { Table, TableColumn, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN, foreignKey } from '../database/columns.js';
import { UserEmail } from './user-email.entity.js';
import { Tenant, USERS_TABLE, User } from './user.entity.js';

export class Users1700000001000 implements MigrationInterface {
  name = 'Users1700000001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'tenants',
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'name', type: 'varchar', length: '100' },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: USERS_TABLE,
        columns: [
          { name: 'id', type: 'varchar', length: '36', isPrimary: true },
          { name: 'tenantId', type: 'varchar', length: '36' },
          { name: 'username', type: 'varchar', length: '64' },
          { name: 'kind', type: 'varchar', length: '10' },
          { name: 'roles', type: 'text' },
          { name: 'disabledAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['username'], isUnique: true }],
        foreignKeys: [
          { columnNames: ['tenantId'], referencedTableName: 'tenants', referencedColumnNames: ['id'] },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable(USERS_TABLE);
    await runner.dropTable('tenants');
  }
}

export class UsersEpoch1700000300000 implements MigrationInterface {
  name = 'UsersEpoch1700000300000';

  async up(runner: QueryRunner): Promise<void> {
    // TypeORM's API would recreate the table on SQLite.
    await runner.query(`ALTER TABLE ${USERS_TABLE} ADD COLUMN epoch integer NOT NULL DEFAULT 0`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE ${USERS_TABLE} DROP COLUMN epoch`);
  }
}

/** Removes the default value, which existing rows needed: the entity has none. */
export class UsersEpochDefault1700000500000 implements MigrationInterface {
  name = 'UsersEpochDefault1700000500000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.changeColumn(USERS_TABLE, 'epoch', new TableColumn({ name: 'epoch', type: 'integer' }));
  }

  async down(runner: QueryRunner): Promise<void> {
    const column = new TableColumn({ name: 'epoch', type: 'integer', default: 0 });
    await runner.changeColumn(USERS_TABLE, 'epoch', column);
  }
}

/** Adds the display name, which existing accounts do not have. */
export class UsersName1700000700000 implements MigrationInterface {
  name = 'UsersName1700000700000';

  async up(runner: QueryRunner): Promise<void> {
    // TypeORM's API would recreate the table on SQLite.
    await runner.query(`ALTER TABLE ${USERS_TABLE} ADD COLUMN name varchar(100)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE ${USERS_TABLE} DROP COLUMN name`);
  }
}

/** Adds the time of the first second factor, which existing accounts do not have. */
export class UsersMfa1700000800000 implements MigrationInterface {
  name = 'UsersMfa1700000800000';

  async up(runner: QueryRunner): Promise<void> {
    // TypeORM's API would recreate the table on SQLite.
    await runner.query(`ALTER TABLE ${USERS_TABLE} ADD COLUMN "mfaSince" ${DATE_COLUMN}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE ${USERS_TABLE} DROP COLUMN "mfaSince"`);
  }
}

export class EmailAddresses1700000810000 implements MigrationInterface {
  name = 'EmailAddresses1700000810000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'email_addresses',
        columns: [
          { name: 'userId', type: 'varchar', length: '36', isPrimary: true },
          { name: 'address', type: 'varchar', length: '254' },
          { name: 'verifiedAt', type: DATE_COLUMN, isNullable: true },
        ],
        indices: [{ columnNames: ['address'], isUnique: true }],
        foreignKeys: [foreignKey('userId', USERS_TABLE)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('email_addresses');
  }
}

export const usersSchema = {
  entities: [Tenant, User, UserEmail],
  migrations: [
    Users1700000001000,
    UsersEpoch1700000300000,
    UsersEpochDefault1700000500000,
    UsersName1700000700000,
    UsersMfa1700000800000,
    EmailAddresses1700000810000,
  ],
};
