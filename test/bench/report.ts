import type { Measurement } from './load.js';

export interface Result extends Measurement {
  readonly name: string;
  /** Requests per second, relative to the first result of the table. */
  readonly ratio: number;
}

export interface Table {
  readonly title: string;
  readonly results: readonly Result[];
}

/** The figures as Markdown tables. */
export function report(tables: readonly Table[], machine: string, date: Date): string {
  const parts = tables.map(({ title, results }) => [
    `### ${title}`,
    '',
    '| route | requests/s | ratio | p50 ms | p99 ms |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...results.map(lineOf),
    '',
  ]);
  return [`Measured ${date.toISOString().slice(0, 10)} on ${machine}.`, '', ...parts.flat()].join('\n');
}

function lineOf({ name, perSecond, ratio, p50, p99 }: Result): string {
  const cells = [
    name,
    Math.round(perSecond).toLocaleString('en'),
    ...[ratio, p50, p99].map((figure) => figure.toFixed(2)),
  ];
  return `| ${cells.join(' | ')} |`;
}
