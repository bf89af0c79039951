import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout } from 'node:timers/promises';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { verifyChain } from '../../src/audit/verify-chain.js';
import { Settings } from '../../src/config/settings.js';
import { allContracts, ceremonyOf, startsSignIn } from '../support/contracts.js';
import type { Running } from '../method.contract.js';
import { startProcesses, type Processes } from '../support/processes.js';

const [{ issue }] = (await allContracts()) as [Awaited<ReturnType<typeof allContracts>>[number]];
const issuer = INSTALLED_METHODS.find((method) => method.issuer)?.name;
const ceremonies = issuer ? INSTALLED_METHODS.filter(startsSignIn).map(({ name }) => name) : [];
const signIns = await Promise.all(ceremonies.map(ceremonyOf));

/** Runs `work` for each number below `count`, twenty at a time: the pool of each process has ten connections. */
async function concurrently(count: number, work: (i: number) => Promise<number>): Promise<number[]> {
  const results: number[] = [];
  while (results.length < count)
    results.push(...(await Promise.all(Array.from({ length: 20 }, (_, i) => work(results.length + i)))));
  return results;
}

describe('the audit log of several processes', () => {
  let processes: Processes;
  let write: (origin: string, method: string, path: string, body?: object) => Promise<Response>;
  beforeAll(async () => {
    processes = await startProcesses(2);
    const bob = await issue({ ...processes, origin: processes.origins[0]! }, 'bob');
    write = async (origin, method, path, body) =>
      fetch(
        await bob.sign(
          new Request(origin + path, {
            method,
            headers: { 'Content-Type': 'application/json', 'If-Match': '*' },
            ...(body && { body: JSON.stringify(body) }),
          }),
        ),
      );
  });
  afterAll(() => processes.stop());

  const verify = () => verifyChain(processes.db, Settings.from({ NODE_ENV: 'test' }));
  const events = () => processes.db.manager.find(AuditEvent, { order: { seq: 'ASC' } });
  const create = (origin: string) => write(origin, 'POST', '/documents', { title: 'under load' });

  it('is one chain, although two processes write concurrently', async () => {
    const before = (await events()).length;
    const statuses = await concurrently(200, async (i) => (await create(processes.origins[i % 2]!)).status);
    expect(new Set(statuses)).toEqual(new Set([201]));
    const after = await events();
    expect(after.map(({ seq }) => seq)).toEqual(after.map((_, i) => i + 1));
    expect(after).toHaveLength(before + 200);
    expect(await verify()).toMatchObject({ valid: true, events: after.length });
  });

  it('causes no deadlock with other locks of a transaction', async () => {
    const ids = await Promise.all(
      processes.origins.map(async (origin) => ((await (await create(origin)).json()) as { id: string }).id),
    );
    const before = (await events()).length;
    const statuses = await concurrently(100, async (i) => {
      const path = `/documents/${ids[i % 3 ? 0 : 1]!}`;
      const origin = processes.origins[i % 2]!;
      const response = await (i % 5
        ? write(origin, 'PATCH', path, { title: `title ${i}` })
        : write(origin, 'PUT', `${path}/shares/carol`, { level: i % 2 ? 'read' : 'update' }));
      return response.status;
    });
    // 412: another request was faster, and nothing was written.
    expect(statuses.filter((status) => status !== 200 && status !== 412)).toEqual([]);
    expect(await events()).toHaveLength(before + statuses.filter((status) => status === 200).length);
    expect(await verify()).toMatchObject({ valid: true });
  });

  it('has the event of every successful response, although processes are killed', async () => {
    const acknowledged: string[] = [];
    const writes: ((running: Running) => Promise<Response>)[] = [
      ...Array.from(
        { length: 4 },
        () =>
          ({ origin }: Running) =>
            create(origin),
      ),
      ...signIns.map((signIn) => (running: Running) => signIn(running, 'bob', issuer!)),
    ];
    const crashes = new AbortController();
    const load = processes.origins.flatMap((_, index) =>
      writes.map(async (work) => {
        while (!crashes.signal.aborted) {
          const response = await work({ ...processes, origin: processes.origins[index]! }).catch(
            () => undefined,
          );
          if (response?.ok) acknowledged.push(response.headers.get('x-request-id')!);
          else await setTimeout(5);
        }
      }),
    );
    const started = Date.now();
    for (let round = 0; Date.now() - started < 10_000; round++) {
      await setTimeout(Math.random() * 200);
      await processes.crash(round % 2);
    }
    crashes.abort();
    await Promise.all(load);

    const written = new Set((await events()).map(({ requestId }) => requestId));
    expect(acknowledged.length).toBeGreaterThan(50);
    expect(acknowledged.filter((id) => !written.has(id))).toEqual([]);
    expect(await verify()).toMatchObject({ valid: true });
  });
});
