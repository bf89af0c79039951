import { Controller, Get } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { Public } from '../../src/authentication/plan.js';
import { Settings } from '../../src/config/settings.js';
import { readServerConfig } from '../../src/http/server.config.js';
import { boot, client, type Booted, type BootOptions } from '../support/app.js';
import {
  HAS_MANY_ADDRESSES,
  closed,
  dial,
  dialAll,
  neverRead,
  statusOn,
  untilOpen,
} from '../support/connections.js';
import { HttpRoutes, get, parseResponse, request, sendRaw, server } from '../support/wire.js';

const HUGE = 32 * 1024 * 1024;

/** Responds when the test calls `finish`. */
const slow = { called: () => {}, finish: () => {} };

@Controller('connections')
@Public()
class ConnectionRoutes {
  @Get('slow') async slow() {
    slow.called();
    await new Promise<void>((resolve) => (slow.finish = resolve));
    return {};
  }
  /** More than the buffers of the operating system hold. */
  @Get('huge') huge() {
    return { text: 'x'.repeat(HUGE) };
  }
}

const start = (options: BootOptions = {}) =>
  boot({ controllers: [HttpRoutes, ConnectionRoutes], ...options });
const portOf = ({ origin }: Booted) => Number(new URL(origin).port);

describe('the deadlines of a connection', () => {
  let booted: Booted;
  let port: number;
  beforeAll(async () => {
    booted = await start();
    port = portOf(booted);
  });
  afterAll(() => booted.close());

  it.each([{ timeout: 500 }, { responseTimeout: 500 }])(
    'close a connection that never reads its responses: %j',
    async (deadline) => {
      Object.assign(server(booted), deadline);
      await neverRead(connect({ port, host: '127.0.0.1' }));
      Object.assign(server(booted), { timeout: 20_000, responseTimeout: 60_000 });
    },
  );

  it('close a connection that sends only empty lines after its response', async () => {
    Object.assign(server(booted), { headersTimeout: 300, keepAliveTimeout: 300 });
    const socket = await dial(port);
    expect(await statusOn(socket)).toBe(200);
    const timer = setInterval(() => socket.write('\r\n'), 50);
    await closed(socket);
    clearInterval(timer);
    Object.assign(server(booted), { headersTimeout: 10_000, keepAliveTimeout: 5_000 });
  });

  it('do not end a connection that keeps sending requests', async () => {
    Object.assign(server(booted), { headersTimeout: 300, keepAliveTimeout: 300, responseTimeout: 300 });
    const socket = await dial(port);
    const end = Date.now() + 3_500;
    while (Date.now() < end) {
      expect(await statusOn(socket)).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    socket.destroy();
    Object.assign(server(booted), {
      headersTimeout: 10_000,
      keepAliveTimeout: 5_000,
      responseTimeout: 60_000,
    });
  });
});

(HAS_MANY_ADDRESSES ? describe : describe.skip)('the limits of connections', () => {
  it('close the oldest waiting connections when there are too many in total', async () => {
    const booted = await start({ env: { MAX_CONNECTIONS: '30', MAX_CONNECTIONS_PER_ADDRESS: '20' } });
    const port = portOf(booted);
    const sockets = [
      ...(await dialAll(20, port, '127.0.0.2')),
      ...(await dialAll(20, port, '127.0.0.3')),
      ...(await dialAll(20, port, '127.0.0.4')),
    ];
    expect((await untilOpen(30, sockets)).length).toBe(30);
    expect(await statusOn(await dial(port))).toBe(200);
    await booted.close();
  });

  it('refuse a new connection while the server works on every request of its address', async () => {
    const booted = await start({ env: { MAX_CONNECTIONS_PER_ADDRESS: '1' } });
    const port = portOf(booted);
    const called = new Promise<void>((resolve) => (slow.called = resolve));
    const response = sendRaw(booted, get('/connections/slow'));
    await called;
    await closed(await dial(port));
    expect(await statusOn(await dial(port, '127.0.0.2'))).toBe(200);
    slow.finish();
    expect(parseResponse(await response).status).toBe(200);
    await booted.close();
  });

  it('exempt trusted proxies from the limit of an address, and keep their connections', async () => {
    const booted = await start({
      env: { TRUST_PROXY: '127.0.0.1', MAX_CONNECTIONS: '30', MAX_CONNECTIONS_PER_ADDRESS: '5' },
    });
    const port = portOf(booted);
    const proxied = await dialAll(20, port);
    const strangers = [
      ...(await dialAll(5, port, '127.0.0.2')),
      ...(await dialAll(5, port, '127.0.0.3')),
      ...(await dialAll(5, port, '127.0.0.4')),
    ];
    expect((await untilOpen(10, strangers)).length).toBe(10);
    for (const socket of proxied) expect(await statusOn(socket)).toBe(200);
    await booted.close();
  });
});

describe('the settings of connections', () => {
  it('have defaults, and are limited by the number of open files', () => {
    const config = (environment: Record<string, string>) => readServerConfig(Settings.from(environment));
    expect(config({})).toMatchObject({ keepAliveMs: 5_000, maxConnectionsPerAddress: 512 });
    expect(
      config({ KEEP_ALIVE_SECONDS: '65', MAX_CONNECTIONS: '200', MAX_CONNECTIONS_PER_ADDRESS: '50' }),
    ).toMatchObject({ keepAliveMs: 65_000, maxConnections: 200, maxConnectionsPerAddress: 50 });
    const openFiles = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
    if (openFiles < 999_999)
      expect(config({ MAX_CONNECTIONS: '999999' }).maxConnections).toBe(openFiles - 512);
  });

  it('reject anything but a positive number', () => {
    for (const name of ['KEEP_ALIVE_SECONDS', 'MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_ADDRESS'])
      for (const value of ['0', '-1', '1.5', '1e3', 'many', '99999999'])
        expect(() => readServerConfig(Settings.from({ [name]: value }))).toThrow(`${name} must be a number`);
  });

  it('apply to the server', async () => {
    const booted = await start({ env: { KEEP_ALIVE_SECONDS: '65' } });
    expect(server(booted).keepAliveTimeout).toBe(65_000);
    const socket = await dial(portOf(booted));
    socket.write(request('GET /http/probe HTTP/1.1', 'Host: a'));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(data.toString()).toMatch(/^Keep-Alive: timeout=65\r$/m);
    socket.destroy();
    await booted.close();
  });
});

describe('a server that closes', () => {
  it('sends a response to its end, although the client reads it slowly', async () => {
    const booted = await start();
    const socket = (await dial(portOf(booted))).pause();
    socket.write(get('/connections/huge'));
    const [, response] = (await once(server(booted), 'request')) as [unknown, ServerResponse];
    if (!response.writableEnded) await once(response, 'prefinish');
    const closing = booted.close();
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    expect(received).toBeGreaterThan(HUGE);
    await closing;
  });
});

describe('a client that resets its connection', () => {
  it('causes no failure, whenever it does so', async () => {
    let log = '';
    const booted = await start({ logTo: { write: (line) => void (log += line) } });
    const port = portOf(booted);
    const wrong = request('GET /demo/api-key HTTP/1.1', 'Host: a', 'X-API-Key: atlas_DemoKeyOfBob0000.wrong');
    for (let i = 0; i < 50; i++) {
      const socket = await dial(port);
      socket.write(wrong);
      if (i % 2) await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    expect((await client(booted.origin).get('/http/probe')).status).toBe(200);
    await booted.close();
    expect(log).not.toMatch(/"event":"failure"|"status":5\d\d/);
  });

  it('is counted with the address that opened the connection', async () => {
    const booted = await start({ env: { RATE_LIMIT_BAD_CREDENTIALS: '5' } });
    const port = portOf(booted);
    for (let i = 0; i < 6; i++) {
      const socket = await dial(port);
      expect(await statusOn(socket)).toBe(200);
      const handled = once(server(booted), 'request');
      socket.write(
        request('GET /demo/api-key HTTP/1.1', 'Host: a', 'X-API-Key: atlas_DemoKeyOfBob0000.wrong'),
      );
      await handled;
      socket.resetAndDestroy();
    }
    const attempt = { 'X-API-Key': 'atlas_DemoKeyOfBob0000.wrong' };
    expect((await client(booted.origin).get('/demo/api-key', attempt)).status).toBe(429);
    await booted.close();
  });
});
