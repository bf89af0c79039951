import type { Measured } from './load.js';

export interface Row {
  readonly title: string;
  /** The one that the others are divided by. */
  readonly base: string;
  readonly results: ReadonlyMap<string, Measured>;
}

/** The figures as Markdown tables: absolute, and as a ratio to each table's first row. */
export function report(tables: readonly Row[], machine: string, date: Date): string {
  const parts = tables.map(({ title, base, results }) => {
    const of = results.get(base)!;
    const lines = [...results].map(([name, { perSecond, p50, p99 }]) =>
      [
        '',
        name,
        Math.round(perSecond).toLocaleString('en'),
        (perSecond / of.perSecond).toFixed(2),
        p50.toFixed(2),
        (p50 / of.p50).toFixed(2),
        p99.toFixed(2),
        '',
      ]
        .join(' | ')
        .trim(),
    );
    return [
      `### ${title}`,
      '',
      '| what | requests/s | ratio | p50 ms | ratio | p99 ms |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      ...lines,
      '',
    ].join('\n');
  });
  return [`Measured ${date.toISOString().slice(0, 10)} on ${machine}.`, '', ...parts].join('\n');
}
