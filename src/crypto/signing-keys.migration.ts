import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

export class SigningKeys1700000302000 implements MigrationInterface {
  name = 'SigningKeys1700000302000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'signing_keys',
        columns: [
          { name: 'kid', type: 'varchar', length: '43', isPrimary: true },
          { name: 'generation', type: 'integer', isUnique: true },
          { name: 'publicJwk', type: 'text' },
          { name: 'sealed', type: 'text' },
          { name: 'activeFrom', type: DATE_COLUMN },
          { name: 'retiredAt', type: DATE_COLUMN, isNullable: true },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('signing_keys');
  }
}
