import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

export class UsedOnce1700000303000 implements MigrationInterface {
  name = 'UsedOnce1700000303000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'used_once',
        columns: [
          { name: 'digest', type: 'varchar', length: '43', isPrimary: true },
          { name: 'until', type: 'bigint' },
        ],
        indices: [{ columnNames: ['until'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('used_once');
  }
}
