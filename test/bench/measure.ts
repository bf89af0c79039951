import type { Cost, CostRequest } from './cost-meter.js';
import type { Load, LoadMessage, Throughput } from './load.js';
import type { Process } from './processes.js';

/** A route under load, and the server whose cost counts. */
export interface Route {
  readonly name: string;
  readonly server: Process<CostRequest>;
  readonly load: Load;
  /** Signs requests that work once, just before they are sent. */
  readonly sign?: () => Promise<Load['headers']>;
}

/** One load on one route. */
export interface Sample extends Throughput {
  /** CPU time of the server per request, in microseconds. */
  readonly cpu: number;
  /** Garbage collection as a share of the CPU time. */
  readonly gcShare: number;
}

export interface Table {
  readonly title: string;
  /** The samples of each route, in the order of the rounds. */
  readonly rows: ReadonlyMap<string, readonly Sample[]>;
}

export interface Duration {
  readonly rounds: number;
  readonly secondsPerLoad: number;
}

/**
 * Loads the routes one after the other, in several rounds, so that other work of the machine affects all of them. Round -1 warms up.
 */
export async function measure(
  loader: Process<LoadMessage>,
  title: string,
  routes: readonly Route[],
  { rounds, secondsPerLoad }: Duration,
): Promise<Table> {
  const rows = new Map<string, Sample[]>(routes.map(({ name }) => [name, []]));
  for (const { name, load } of routes) await loader.ask({ prepare: load, name });
  for (let round = -1; round < rounds; round++)
    for (const route of routes) {
      const sample = await sampleOf(loader, route, secondsPerLoad);
      if (round >= 0) rows.get(route.name)!.push(sample);
    }
  return { title, rows };
}

async function sampleOf(
  loader: Process<LoadMessage>,
  { name, server, load, sign }: Route,
  seconds: number,
): Promise<Sample> {
  if (sign) await loader.ask({ prepare: { ...load, headers: await sign(), once: true }, name });
  await loader.ask({ connect: name });
  const before = await server.ask<Cost>({ cost: true });
  const throughput = await loader.ask<Throughput>({ run: name, seconds });
  const after = await server.ask<Cost>({ cost: true });
  const cpu = after.cpu - before.cpu;
  return {
    ...throughput,
    cpu: cpu / throughput.requests,
    gcShare: (after.garbageCollection - before.garbageCollection) / cpu,
  };
}

export const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1]!;

/** The median of a figure of one route. */
export const figureOf = (samples: readonly Sample[], figure: keyof Sample): number =>
  median(samples.map((sample) => sample[figure]));

/** The median of the ratios of two routes, each within one round. */
export const ratioOf = (
  samples: readonly Sample[],
  base: readonly Sample[],
  figure: keyof Sample = 'cpu',
): number => median(samples.map((sample, round) => sample[figure] / base[round]![figure]));
