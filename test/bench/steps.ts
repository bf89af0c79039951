import type { Load, LoadMessage } from './load.js';
import { sampleOf } from './measure.js';
import type { Process } from './processes.js';
import { GARBAGE_COLLECTION, NODE, STEPS, type Profile } from './profiler.js';
import { markdownTable } from './report.js';
import type { Application } from './servers.js';

const REQUESTS = 5_000;

/**
 * Divides the CPU time of a request into its steps, by a profile of the server under load. The profile gives the shares. The CPU time is
 * measured without it.
 * @returns a Markdown table in microseconds
 */
export async function measureSteps(
  loader: Process<LoadMessage>,
  { server }: Application,
  loads: Readonly<Record<string, Load>>,
): Promise<string> {
  const columns: Record<string, Record<string, number>> = {};
  for (const [name, load] of Object.entries(loads)) {
    await loader.ask({ prepare: load, name });
    await sampleOf(loader, { name, server, load }, REQUESTS);
    const { cpu } = await sampleOf(loader, { name, server, load }, REQUESTS);
    await server.ask({ profile: 'start' });
    await loader.ask({ connect: name });
    await loader.ask({ run: name, requests: REQUESTS });
    const profile = await server.ask<Profile>({ profile: 'stop' });
    columns[name] = Object.fromEntries(Object.entries(profile).map(([step, share]) => [step, share * cpu]));
  }
  const steps = new Set([NODE, ...STEPS.map(({ name }) => name), GARBAGE_COLLECTION]);
  const lineOf = (name: string, of: (column: Record<string, number>) => number) => [
    name,
    ...Object.values(columns).map((column) => of(column).toFixed(1)),
  ];
  const sum = (column: Record<string, number>) =>
    Object.values(column).reduce((total, each) => total + each, 0);
  const lines = [...steps].map((step) => lineOf(step, (column) => column[step] ?? 0));
  return `${markdownTable(['step', ...Object.keys(columns)], [...lines, lineOf('all', sum)]).join('\n')}\n`;
}
