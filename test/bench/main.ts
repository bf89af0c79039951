import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { check } from './check.js';
import type { LoadMessage } from './load.js';
import { measure, type Duration, type Sample } from './measure.js';
import { LOAD_CORE, Process } from './processes.js';
import { measureRejections } from './rejections.js';
import { report, reportLatencies } from './report.js';
import { stopServers } from './servers.js';
import { measureSteps } from './steps.js';
import { Tables, TITLES, type TableName } from './tables.js';
import { reportTargets } from './targets.js';

const PERFORMANCE = 'docs/performance.md';
const REQUEST_COST = 'docs/explanation/request-cost.md';
const FULL: Duration = { warmUp: 10_000, rounds: 30, load: 0.3 };
const QUICK: Duration = { warmUp: 3_000, rounds: 14, load: 0.2 };

const { values: options } = parseArgs({
  options: {
    /** Fewer rounds, keys and routes. */
    quick: { type: 'boolean', default: false },
    /** Compares with the committed ratios instead. */
    check: { type: 'boolean', default: false },
    /** One table, by its name in `TITLES`, `steps` or `rejections`. */
    only: { type: 'string' },
  },
});

/** The names of the tables to measure. */
function chosenTables(): TableName[] {
  const all = Object.keys(TITLES) as TableName[];
  if (options.only) return all.filter((name) => name === options.only);
  return options.quick ? ['routes'] : all;
}

/** Measures the chosen tables, and prints each at once. @returns the whole text */
async function measureTables(loader: Process<LoadMessage>, tables: Tables): Promise<string> {
  const measured = new Map<TableName, ReadonlyMap<string, readonly Sample[]>>();
  const parts: string[] = [];
  const print = (text: string) => {
    parts.push(text);
    process.stdout.write(`${text}\n`);
  };
  print(
    `Measured ${new Date().toISOString().slice(0, 10)} on ${cpus()[0]?.model.trim()}, Node ${process.versions.node}.\n`,
  );
  for (const name of chosenTables()) {
    const table = await measure(loader, TITLES[name], await tables[name](), options.quick ? QUICK : FULL);
    measured.set(name, table.rows);
    print(report(table));
    if (name === 'routes' && !options.quick) print(reportLatencies(table));
  }
  print(reportTargets(measured));
  return parts.join('\n');
}

/** Replaces the text between two markers of a page. */
function publish(page: string, part: string, text: string): void {
  const place = new RegExp(`(?<=<!-- ${part} -->\n)[^]*(?=<!-- end of the ${part} -->)`);
  writeFileSync(page, readFileSync(page, 'utf8').replace(place, `\n${text}\n`));
}

async function main(): Promise<void> {
  if (options.only === 'rejections') return void process.stdout.write(await measureRejections());
  const loader = Process.start<LoadMessage>('load.js', LOAD_CORE);
  const tables = new Tables(options.quick || options.check);
  const steps = async () => {
    const { app, loads } = await tables.steps();
    return measureSteps(loader, app, loads);
  };
  if (options.only === 'steps') return void process.stdout.write(await steps());
  if (options.check) {
    if (!(await check(loader, tables))) process.exitCode = 1;
    return;
  }
  const figures = await measureTables(loader, tables);
  if (options.quick || options.only) return;
  publish(PERFORMANCE, 'figures', figures);
  publish(REQUEST_COST, 'steps', await steps());
  publish(PERFORMANCE, 'rejections', await measureRejections());
}

try {
  await main();
} finally {
  await stopServers();
}
