import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UNLIMITED } from '../support/app.js';
import { Server } from '../support/processes.js';

const WARM_UP_REQUESTS = 2_000;
const REQUESTS = 4_000;
const MAX_SURVIVING_BYTES_PER_REQUEST = 512;

/**
 * V8 frees the objects of a request in microseconds, unless something older refers to them. Then they survive until the next full
 * collection, which takes a third of the server's time.
 */
describe('the objects of a request', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-memory-'));
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  let server: Server;
  let origin: string;
  let reports = 0;

  beforeAll(async () => {
    const env = { NODE_ENV: 'development', DATA_DIR: folder, ...UNLIMITED };
    server = Server.start(env, ['--expose-gc', '--import', './test/support/heap-report.js', 'dist/main.js']);
    origin = await server.origin();
  });
  afterAll(async () => {
    agent.destroy();
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const request = () =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${origin}/methods`, { agent }, (response) =>
        response.resume().on('end', () => resolve(response.statusCode)),
      ).on('error', reject);
    });

  const send = async (count: number) => {
    for (let sent = 0; sent < count; sent += 4)
      expect(await Promise.all([request(), request(), request(), request()])).toEqual([200, 200, 200, 200]);
  };

  const heapBytes = async () => {
    server.signal('SIGUSR2');
    return Number(await server.waitForOutput(new RegExp(`heap ${++reports}: (\\d+)`)));
  };

  it('do not survive a collection of the young generation', async () => {
    await send(WARM_UP_REQUESTS);
    const before = await heapBytes();
    await send(REQUESTS);
    expect(((await heapBytes()) - before) / REQUESTS).toBeLessThan(MAX_SURVIVING_BYTES_PER_REQUEST);
  });
});
