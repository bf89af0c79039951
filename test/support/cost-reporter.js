// A Jest reporter that measures what a run costs, with `COST_REPORT=file`: one line of JSON for each test file and each process.
// `node test/support/cost-reporter.js file` prints the ten slowest files and the largest processes. Memory is read from /proc (Linux).
import { appendFileSync, existsSync, readFileSync, readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const SAMPLE_EVERY_MS = 1000;

export default class CostReporter {
  #file = process.env.COST_REPORT;
  #peaks = new Map();
  #timer;

  onRunStart() {
    if (this.#file) this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  onTestResult(_test, { testFilePath, perfStats }) {
    this.#write({ test: relative(process.cwd(), testFilePath), ms: perfStats.end - perfStats.start });
  }

  onRunComplete() {
    clearInterval(this.#timer);
    for (const { command, kilobytes } of this.#peaks.values()) this.#write({ command, kilobytes });
  }

  #write(line) {
    if (this.#file) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** Notes the largest size so far of this process and of those that it started. */
  #sample() {
    for (const pid of descendantsOf(process.pid)) {
      const peak = read(`/proc/${pid}/status`).match(/VmHWM:\s+(\d+)/)?.[1];
      const command = read(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).slice(0, 4).join(' ');
      if (peak) this.#peaks.set(pid, { command, kilobytes: Number(peak) });
    }
  }
}

/** The text of a file, or nothing: a process may end at any time. */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function descendantsOf(root) {
  if (!existsSync('/proc/self/stat')) return [];
  const children = new Map();
  for (const pid of readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    // The fields follow the command, which stands in parentheses: state, then the parent's id.
    const parent = Number(
      read(`/proc/${pid}/stat`)
        .replace(/^.*\) /s, '')
        .split(' ')[1],
    );
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

function print(file) {
  const lines = read(file)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const top = (key, count) =>
    lines
      .filter((line) => key in line)
      .sort((a, b) => b[key] - a[key])
      .slice(0, count);
  console.log('Slowest files:');
  for (const { test, ms } of top('ms', 10)) console.log(`${(ms / 1000).toFixed(1).padStart(8)} s  ${test}`);
  console.log('Peak memory of a process:');
  for (const { command, kilobytes } of top('kilobytes', 3))
    console.log(
      `${Math.round(kilobytes / 1024)
        .toString()
        .padStart(8)} MB ${command}`,
    );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print(process.argv[2]);
