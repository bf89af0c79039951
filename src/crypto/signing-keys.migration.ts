import { Table, TableColumn, TableUnique, type MigrationInterface, type QueryRunner } from 'typeorm';
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

/** Each algorithm gets rotations of its own. */
export class SigningKeyAlgorithm1700000600000 implements MigrationInterface {
  name = 'SigningKeyAlgorithm1700000600000';

  async up(runner: QueryRunner): Promise<void> {
    const alg = new TableColumn({ name: 'alg', type: 'varchar', length: '5', default: "'ES256'" });
    await runner.addColumn('signing_keys', alg);
    await this.replaceUnique(runner, ['generation'], ['alg', 'generation']);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query("DELETE FROM signing_keys WHERE alg <> 'ES256'");
    await this.replaceUnique(runner, ['alg', 'generation'], ['generation']);
    await runner.dropColumn('signing_keys', 'alg');
  }

  private async replaceUnique(runner: QueryRunner, from: string[], to: string[]): Promise<void> {
    const { uniques } = (await runner.getTable('signing_keys'))!;
    const isReplaced = ({ columnNames }: TableUnique) => columnNames.toSorted().join() === from.join();
    await runner.dropUniqueConstraint('signing_keys', uniques.find(isReplaced)!);
    await runner.createUniqueConstraint('signing_keys', new TableUnique({ columnNames: to }));
  }
}
