import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { race } from './race.js';

/** The state that the servers share, as processes share a database. Each access is asynchronous. */
const unused = new Set<string>();
const has = (ticket: string) => setImmediate(unused.has(ticket));
const take = (ticket: string) => setImmediate(unused.delete(ticket));

/** The ways in which a server accepts a ticket once. */
const HANDLERS: Readonly<Record<string, (ticket: string) => Promise<boolean>>> = {
  '/check-then-delete': async (ticket) => (await has(ticket)) && (await take(ticket), true),
  '/delete': take,
  '/reject': () => Promise.resolve(false),
};

describe('race', () => {
  const servers: Server[] = [];
  let origins: string[];
  const rounds = 20;

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      const server = createServer((request, response) => {
        const { pathname, search } = new URL(request.url!, 'http://localhost');
        void HANDLERS[pathname]!(search).then((good) => response.writeHead(good ? 200 : 401).end());
      }).listen(0, '127.0.0.1');
      servers.push(server);
      await once(server, 'listening');
    }
    origins = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterAll(() => servers.forEach((server) => server.close().closeAllConnections()));

  const tickets = (path: string) =>
    race({
      origins,
      rounds,
      make: () => {
        const ticket = `?${randomUUID()}`;
        unused.add(ticket);
        return Promise.resolve(ticket);
      },
      use: async (origin, ticket) => (await fetch(origin + path + ticket)).ok,
    });

  it('has one success per round if checking and deleting are one step', async () => {
    expect(await tickets('/delete')).toEqual([]);
  });

  it('has several successes if a server checks first and deletes later', async () => {
    const failed = await tickets('/check-then-delete');
    expect(failed.length).toBeGreaterThan(0);
    for (const { successes } of failed) expect(successes).toBeGreaterThan(1);
  });

  it('reports rounds without a success', async () => {
    expect(await tickets('/reject')).toEqual(
      Array.from({ length: rounds }, (_, round) => ({ round, successes: 0 })),
    );
  });
});
