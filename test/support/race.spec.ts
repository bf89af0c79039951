import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { race } from './race.js';

/** What the servers share, as processes share a database: each answer takes a while. */
const unused = new Set<string>();
const has = (ticket: string) => setImmediate(unused.has(ticket));
const take = (ticket: string) => setImmediate(unused.delete(ticket));

/** How a server decides whether a ticket is good, now and never again. */
const WAYS: Readonly<Record<string, (ticket: string) => Promise<boolean>>> = {
  '/look-then-take': async (ticket) => (await has(ticket)) && (await take(ticket), true),
  '/take': take,
  '/refuse': () => Promise.resolve(false),
};

describe('a race for a one-time thing', () => {
  const servers: Server[] = [];
  let origins: string[];
  const rounds = 20;

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      const server = createServer((request, response) => {
        const { pathname, search } = new URL(request.url!, 'http://localhost');
        void WAYS[pathname]!(search).then((good) => response.writeHead(good ? 200 : 401).end());
      }).listen(0, '127.0.0.1');
      servers.push(server);
      await once(server, 'listening');
    }
    origins = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterAll(() => servers.forEach((server) => server.close().closeAllConnections()));

  const tickets = (way: string) =>
    race({
      origins,
      rounds,
      make: () => {
        const ticket = `?${randomUUID()}`;
        unused.add(ticket);
        return Promise.resolve(ticket);
      },
      use: async (origin, ticket) => (await fetch(origin + way + ticket)).ok,
    });

  it('is won by one where looking and taking are one step', async () => {
    expect(await tickets('/take')).toEqual([]);
  });

  it('is won by several where a server looks, and takes later', async () => {
    const unfair = await tickets('/look-then-take');
    expect(unfair.length).toBeGreaterThan(0);
    for (const { winners } of unfair) expect(winners).toBeGreaterThan(1);
  });

  it('that nobody wins is no fair one either', async () => {
    expect(await tickets('/refuse')).toEqual(
      Array.from({ length: rounds }, (_, round) => ({ round, winners: 0 })),
    );
  });
});
