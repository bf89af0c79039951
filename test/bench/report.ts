import { figureOf, gcShareOf, ratioOf, type Sample, type Table } from './measure.js';

/** The figures of a table as Markdown. Ratios compare with the first route. */
export function report({ title, rows }: Table): string {
  const [base] = rows.values();
  const lines = [...rows].map(([name, samples]) => [name, ...figures(samples, base!)]);
  return [
    `### ${title}\n`,
    ...markdownTable(['route', 'CPU µs', '÷ node:http', 'requests/s', 'GC share'], lines),
    '',
  ].join('\n');
}

const figures = (samples: readonly Sample[], base: readonly Sample[]): string[] => [
  figureOf(samples, 'cpu').toFixed(1),
  ratioOf(samples, base).toFixed(2),
  Math.round(figureOf(samples, 'perSecond')).toLocaleString('en'),
  `${(gcShareOf(samples) * 100).toFixed(1)} %`,
];

/** The latencies of a table as Markdown. */
export function reportLatencies({ rows }: Table): string {
  const lines = [...rows].map(([name, samples]) => [
    name,
    figureOf(samples, 'p50').toFixed(2),
    figureOf(samples, 'p99').toFixed(2),
  ]);
  return ['### Latency\n', ...markdownTable(['route', 'p50 ms', 'p99 ms'], lines), ''].join('\n');
}

/** The first column is text, the others are figures. */
export const markdownTable = (columns: readonly string[], lines: readonly (readonly string[])[]): string[] =>
  [columns, ['---', ...columns.slice(1).map(() => '---:')], ...lines].map(
    (line) => `| ${line.join(' | ')} |`,
  );
