import { CONNECTIONS } from './connection.js';
import type { Cost, CostRequest } from './cost-meter.js';
import type { Load, LoadMessage, Throughput } from './load.js';
import type { Process } from './processes.js';

/** A route under load, and the server whose cost counts. */
export interface Route {
  readonly name: string;
  readonly server: Process<CostRequest>;
  readonly load: Load;
  /** Signs requests that work once, just before they are sent. */
  readonly sign?: (count: number) => Promise<Load['headers']>;
}

/** One load on one route. */
export interface Sample extends Throughput {
  /** CPU time of the server per request, in microseconds. */
  readonly cpu: number;
  /** Garbage collection per request, in microseconds. */
  readonly garbageCollection: number;
}

export interface Table {
  readonly title: string;
  /** The samples of each route, in the order of the rounds. */
  readonly rows: ReadonlyMap<string, readonly Sample[]>;
}

export interface Duration {
  /** The requests to each route that do not count, while V8 compiles its code. */
  readonly warmUp: number;
  readonly rounds: number;
  /** The CPU time of each load in seconds: short, so that the loads of a round meet the same conditions. */
  readonly load: number;
}

/** Loads the routes one after the other, in several rounds, so that other work of the machine affects all of them. */
export async function measure(
  loader: Process<LoadMessage>,
  title: string,
  routes: readonly Route[],
  { warmUp, rounds, load: seconds }: Duration,
): Promise<Table> {
  const rows = new Map<string, Sample[]>(routes.map(({ name }) => [name, []]));
  const requests = new Map<string, number>();
  for (const route of routes) {
    await loader.ask({ prepare: route.load, name: route.name });
    const { cpu } = await sampleOf(loader, route, warmUp);
    requests.set(route.name, Math.ceil((seconds * 1e6) / cpu));
  }
  for (let round = 0; round < rounds; round++)
    for (const route of routes)
      rows.get(route.name)!.push(await sampleOf(loader, route, requests.get(route.name)!));
  return { title, rows };
}

/** Loads a route once. */
export async function sampleOf(
  loader: Process<LoadMessage>,
  { name, server, load, sign }: Route,
  requests: number,
): Promise<Sample> {
  if (sign) {
    // `connect` sends one request on each connection.
    const headers = await sign(requests + CONNECTIONS);
    await loader.ask({ prepare: { ...load, headers }, name });
  }
  await loader.ask({ connect: name });
  const before = await server.ask<Cost>({ cost: true });
  const throughput = await loader.ask<Throughput>({ run: name, requests });
  const after = await server.ask<Cost>({ cost: true });
  return {
    ...throughput,
    cpu: (after.cpu - before.cpu) / throughput.requests,
    garbageCollection: (after.garbageCollection - before.garbageCollection) / throughput.requests,
  };
}

const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1]!;

/** The 10th percentile: other work of the machine only adds to a cost. */
export const lowest = (all: readonly number[]): number =>
  all.toSorted((a, b) => a - b)[Math.floor(all.length / 10)]!;

/** The median of a figure of one route. */
export const figureOf = (samples: readonly Sample[], figure: keyof Sample): number =>
  median(samples.map((sample) => sample[figure]));

/** The median of the ratios of two routes, each within one round. */
export const ratioOf = (
  samples: readonly Sample[],
  base: readonly Sample[],
  figure: keyof Sample = 'cpu',
): number => median(samples.map((sample, round) => sample[figure] / base[round]![figure]));

/** Garbage collection as a share of the CPU time, in all rounds together: a full collection is rare. */
export function gcShareOf(samples: readonly Sample[]): number {
  const sum = (figure: 'cpu' | 'garbageCollection') =>
    samples.reduce((total, each) => total + each[figure], 0);
  return sum('garbageCollection') / sum('cpu');
}
