import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { INSTALLED_METHODS } from '../src/app.module.js';
import { boot, type Booted } from './support/app.js';
import { freePort } from './support/free-port.js';

/** The kinds of code blocks. Listings in other languages are examples that the tests do not run. */
const KINDS = ['sh', 'console', 'json', 'text', 'http', 'ts', 'mermaid'];
const OTHER_LANGUAGES = ['go', 'java', 'python', 'yaml'];

/** The addresses in the documentation. The tests replace them by those of the server under test. */
const DOCUMENTED = 'http://localhost:3000';
const DOCUMENTED_TLS = 'https://localhost:3443';

const HEADINGS = [
  'What it proves',
  'When to use it and when not',
  'On the wire',
  'Try it',
  'How it works here',
  'Attacks and defences',
  'In production',
  'Lift it into your app',
  'Exercises',
  'References',
];

interface Example {
  readonly commands: string;
  /** The output that the page shows, if it shows one. */
  readonly output?: string;
  readonly language?: string;
}

const pagesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pagesBelow(path);
    return path.endsWith('.md') ? [path] : [];
  });
const PAGES = ['README.md', ...pagesBelow('docs')];

/** The `sh` blocks of a page, each with the block of output that follows it directly. */
function examplesOf(page: string): Example[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\s*^```(json|text|http)\n([\s\S]*?)^```\n)?/gm)].map(
    ([, commands, language, output]) => ({
      commands: commands!,
      ...(output && { language: language!, output }),
    }),
  );
}

/**
 * The output of an example as a pattern. `…` matches anything, also no line at all, and white space in JSON is ignored. Other output is
 * compared without regard to case: the HTTP adapters write header names differently, and in a different order.
 */
function outputPattern({ output = '', language }: Example): RegExp {
  const text = language === 'json' ? compact(output) : output.trim();
  const literal = (part: string) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = text
    .split('…')
    .map(literal)
    .join('[\\s\\S]*?')
    .replaceAll('\n[\\s\\S]*?\n', '\n(?:[\\s\\S]*?\n)?');
  return new RegExp(`^${pattern}$`, language === 'json' ? '' : 'i');
}

const compact = (json: string) =>
  json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, text: string | undefined) => text ?? '');

/**
 * Runs the examples of a page one after the other in one shell.
 * @param addresses pairs of an address in the page and the server's own
 */
function run(
  examples: readonly Example[],
  addresses: readonly (readonly [documented: string, real: string])[],
): Promise<string[]> {
  const mark = '=-=-= end of an example =-=-=';
  const toReal = (text: string) =>
    addresses.reduce((changed, [documented, real]) => changed.replaceAll(documented, real), text);
  const toDocumented = (text: string) =>
    addresses.reduce((changed, [documented, real]) => changed.replaceAll(real, documented), text);
  const script = examples.map(({ commands }) => `${toReal(commands)}\necho\necho '${mark}'`);
  return new Promise((resolve, reject) => {
    const shell = spawn('bash', ['-euo', 'pipefail', '-c', script.join('\n')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, errors] = ['', ''];
    shell.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    shell.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    shell.on('error', reject);
    shell.on('close', (code) => {
      if (code !== 0) reject(new Error(`A command of the page failed (${code}):\n${errors}\n${output}`));
      else
        resolve(
          toDocumented(output.replaceAll('\r\n', '\n'))
            .split(mark)
            .slice(0, -1)
            .map((each) => each.trim()),
        );
    });
  });
}

describe('the documentation', () => {
  for (const page of PAGES)
    describe(page, () => {
      const examples = examplesOf(page);
      if (examples.length) {
        let booted: Booted;
        let tlsPort: number;
        beforeAll(async () => {
          tlsPort = await freePort();
          booted = await boot({
            methods: INSTALLED_METHODS,
            env: { TLS_PORT: String(tlsPort) },
            publicUrlIsOrigin: true,
          });
        });
        afterAll(() => booted.close());

        it(`${examples.length} examples run, and print the output shown`, async () => {
          const outputs = await run(examples, [
            [DOCUMENTED, booted.origin],
            [DOCUMENTED_TLS, `https://localhost:${tlsPort}`],
          ]);
          examples.forEach((example, i) => {
            if (example.output === undefined) return;
            expect({ commands: example.commands, output: outputs[i] }).toEqual({
              commands: example.commands,
              output: expect.stringMatching(outputPattern(example)),
            });
          });
        });
      }

      it('shows no console command that the pipeline (.ci/run) does not run', () => {
        const run = readFileSync('.ci/run', 'utf8');
        const consoles = [...readFileSync(page, 'utf8').matchAll(/^```console\n([\s\S]*?)^```/gm)];
        for (const command of consoles.flatMap(([, text]) => text!.trim().split(/\n| && /)))
          expect(run).toContain(command.replace(/\s*#.*$/, ''));
      });

      it('has only code blocks of the known kinds', () => {
        const kinds = [...readFileSync(page, 'utf8').matchAll(/^```([^\n]*)\n[\s\S]*?^```/gm)].map(
          ([, kind]) => kind,
        );
        for (const kind of kinds) expect([...KINDS, ...OTHER_LANGUAGES]).toContain(kind);
      });
    });

  it('every page of a method has the same headings', () => {
    for (const { name } of INSTALLED_METHODS) {
      const text = readFileSync(`docs/methods/${name}.md`, 'utf8');
      const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
      expect(headings).toEqual(HEADINGS);
    }
  });

  it('every page of a method has a command that calls it, and a sequence diagram', () => {
    for (const { name, strategy } of INSTALLED_METHODS) {
      const page = `docs/methods/${name}.md`;
      // A ceremony has no demo route; its page starts it.
      const route = strategy ? `/demo/${name}` : '/auth/';
      expect(examplesOf(page).some(({ commands }) => commands.includes(route))).toBe(true);
      expect(readFileSync(page, 'utf8')).toContain('```mermaid\nsequenceDiagram');
    }
  });
});
