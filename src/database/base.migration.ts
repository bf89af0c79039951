import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** The table of the demo's parts. */
export class Base1700000000000 implements MigrationInterface {
  name = 'Base1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'demo_parts',
        columns: [{ name: 'name', type: 'varchar', length: '64', isPrimary: true }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('demo_parts');
  }
}
