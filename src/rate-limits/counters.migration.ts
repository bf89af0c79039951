import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** The table of all counters. Older databases have it from the migration of the passwords. */
export class Counters1700000001500 implements MigrationInterface {
  name = 'Counters1700000001500';

  async up(runner: QueryRunner): Promise<void> {
    // rate-limiter-flexible's statements require these columns in this order.
    const table = new Table({
      name: 'login_failures',
      columns: [
        { name: 'key', type: 'varchar', length: '255', isPrimary: true },
        { name: 'points', type: 'integer', default: 0 },
        { name: 'expire', type: 'bigint', isNullable: true },
      ],
      indices: [{ columnNames: ['expire'] }],
    });
    await runner.createTable(table, true);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('login_failures');
  }
}

export const countersSchema = { entities: [], migrations: [Counters1700000001500] };
