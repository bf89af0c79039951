import { Controller, Get } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Public } from '../../src/authentication/plan.js';
import { Settings } from '../../src/config/settings.js';
import { readServerConfig } from '../../src/http/server.config.js';
import { boot, client, type Booted, type BootOptions } from '../support/app.js';
import { HttpRoutes, get, parseResponse, request, sendRaw, server } from '../support/wire.js';

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
  @Get('large') large() {
    return { text: 'x'.repeat(200_000) };
  }
}

const start = (options: BootOptions = {}) =>
  boot({ controllers: [HttpRoutes, ConnectionRoutes], ...options });
const portsOf = async ({ origin }: Booted) => ({
  plain: Number(new URL(origin).port),
  tls: Number(new URL((await client(origin).get('/mtls')).body.url as string).port),
});
/** Resolves when the socket is closed, also by an error, which `once` of node:events would throw. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else
      socket
        .on('error', () => {})
        .once('close', () => resolve())
        .resume();
  });
/** Connects from an address of the loopback network. */
const dial = async (port: number, localAddress = '127.0.0.1'): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {});
  await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closed(socket)]);
  return socket.resume();
};
const dialAll = (count: number, port: number, from?: string) =>
  Promise.all(Array.from({ length: count }, () => dial(port, from)));
/** Waits until the server has closed all but `count` of the connections. @returns those that are open */
const untilOpen = async (count: number, sockets: readonly Socket[]): Promise<Socket[]> => {
  for (;;) {
    const open = sockets.filter((socket) => !socket.closed);
    if (open.length <= count) return open;
    await Promise.race(open.map(closed));
  }
};
/** The status of a request on this connection. */
const statusOn = async (socket: Socket, path = '/http/probe') => {
  socket.write(request(`GET ${path} HTTP/1.1`, 'Host: a'));
  const [data] = (await once(socket, 'data')) as [Buffer];
  return parseResponse(data.toString()).status;
};

/** The first bytes that a TLS client sends. */
async function clientHello(): Promise<Buffer> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const socket = connectTls({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1' });
  socket.on('error', () => {});
  const [connection] = (await once(listener, 'connection')) as [Socket];
  connection.on('error', () => {});
  const [hello] = (await once(connection, 'data')) as [Buffer];
  socket.destroy();
  connection.destroy();
  listener.close();
  return hello;
}

describe('the deadlines of a connection', () => {
  let booted: Booted;
  let ports: { plain: number; tls: number };
  beforeAll(async () => {
    booted = await start();
    ports = await portsOf(booted);
  });
  afterAll(() => booted.close());

  it('close a connection whose TLS handshake is not finished, however the client delays it', async () => {
    Object.assign(server(booted), { handshakeTimeout: 500 });
    const hello = await clientHello();
    const silent = await dial(ports.tls);
    const oneByte = await dial(ports.tls);
    oneByte.write(hello.subarray(0, 1));
    const half = await dial(ports.tls);
    half.write(hello.subarray(0, hello.length / 2));
    const noReply = await dial(ports.tls);
    noReply.write(hello);
    const trickle = await dial(ports.tls);
    const timer = setInterval(() => trickle.write(hello.subarray(0, 1)), 50);
    await Promise.all([silent, oneByte, half, noReply, trickle].map(closed));
    clearInterval(timer);
    Object.assign(server(booted), { handshakeTimeout: 10_000 });
  });

  it('close a connection that sends nothing after the TLS handshake', async () => {
    Object.assign(server(booted), { headersTimeout: 300, requestTimeout: 600 });
    const socket = connectTls({ port: ports.tls, host: '127.0.0.1', rejectUnauthorized: false });
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(parseResponse(data.toString()).status).toBe(408);
    await closed(socket);
    Object.assign(server(booted), { headersTimeout: 10_000, requestTimeout: 30_000 });
  });

  it.each([{ timeout: 500 }, { responseTimeout: 500 }])(
    'close a connection that never reads its responses, over TCP and TLS: %j',
    async (deadline) => {
      Object.assign(server(booted), deadline);
      const requests = request('GET /connections/large HTTP/1.1', 'Host: localhost').repeat(200);
      const options = { host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false };
      for (const open of [
        () => connect({ port: ports.plain, host: '127.0.0.1' }),
        () => connectTls({ port: ports.tls, ...options }),
      ]) {
        const socket = open().pause();
        const sender = setInterval(() => socket.write(requests), 20);
        // The client notices the end when it writes, because it does not read.
        await once(socket, 'error');
        clearInterval(sender);
        socket.destroy();
      }
      Object.assign(server(booted), { timeout: 20_000, responseTimeout: 60_000 });
    },
  );

  it('close a connection that sends only empty lines after its response', async () => {
    Object.assign(server(booted), { headersTimeout: 300, keepAliveTimeout: 300 });
    const socket = await dial(ports.plain);
    expect(await statusOn(socket)).toBe(200);
    const timer = setInterval(() => socket.write('\r\n'), 50);
    await closed(socket);
    clearInterval(timer);
    Object.assign(server(booted), { headersTimeout: 10_000, keepAliveTimeout: 5_000 });
  });

  it('do not end a connection that keeps sending requests', async () => {
    Object.assign(server(booted), { headersTimeout: 300, keepAliveTimeout: 300, responseTimeout: 300 });
    const socket = await dial(ports.plain);
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

describe('the limits of connections', () => {
  it('close the oldest waiting connections of an address, on both ports together', async () => {
    let log = '';
    const booted = await start({
      env: { MAX_CONNECTIONS_PER_ADDRESS: '20' },
      logTo: { write: (line) => void (log += line) },
    });
    const { plain, tls } = await portsOf(booted);
    const handshakes = await dialAll(30, tls, '127.0.0.2');
    expect((await untilOpen(20, handshakes)).length).toBe(20);
    const silent = await dialAll(30, plain, '127.0.0.2');
    expect((await untilOpen(20, [...handshakes, ...silent])).length).toBe(20);
    expect(handshakes.filter((socket) => !socket.closed).length).toBe(0);
    // The address is not locked out, nor is another one.
    expect(await statusOn(await dial(plain, '127.0.0.2'))).toBe(200);
    expect(await statusOn(await dial(plain, '127.0.0.3'))).toBe(200);
    expect(log).toContain('"event":"too many connections"');
    await booted.close();
  });

  it('close the oldest waiting connections when there are too many in total', async () => {
    const booted = await start({ env: { MAX_CONNECTIONS: '30', MAX_CONNECTIONS_PER_ADDRESS: '20' } });
    const { plain, tls } = await portsOf(booted);
    const sockets = [
      ...(await dialAll(20, tls, '127.0.0.2')),
      ...(await dialAll(20, plain, '127.0.0.3')),
      ...(await dialAll(20, tls, '127.0.0.4')),
    ];
    expect((await untilOpen(30, sockets)).length).toBe(30);
    expect(await statusOn(await dial(plain))).toBe(200);
    await booted.close();
  });

  it('refuse a new connection while the server works on every request of its address', async () => {
    const booted = await start({ env: { MAX_CONNECTIONS_PER_ADDRESS: '1' } });
    const { plain } = await portsOf(booted);
    const called = new Promise<void>((resolve) => (slow.called = resolve));
    const response = sendRaw(booted, get('/connections/slow'));
    await called;
    await closed(await dial(plain));
    expect(await statusOn(await dial(plain, '127.0.0.2'))).toBe(200);
    slow.finish();
    expect(parseResponse(await response).status).toBe(200);
    await booted.close();
  });

  it('count a TLS connection once, and no longer than it is open', async () => {
    const booted = await start({ env: { MAX_CONNECTIONS_PER_ADDRESS: '2' } });
    const { plain, tls } = await portsOf(booted);
    const first = await dial(plain);
    for (let i = 0; i < 5; i++) {
      const socket = connectTls({
        port: tls,
        host: '127.0.0.1',
        servername: 'localhost',
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      socket.write(request('GET /http/probe HTTP/1.1', 'Host: localhost', 'Connection: close'));
      await closed(socket);
    }
    expect(await statusOn(first)).toBe(200);
    await booted.close();
  });

  it('exempt trusted proxies from the limit of an address, and keep their connections', async () => {
    const booted = await start({
      env: { TRUST_PROXY: '127.0.0.1', MAX_CONNECTIONS: '30', MAX_CONNECTIONS_PER_ADDRESS: '5' },
    });
    const { plain } = await portsOf(booted);
    const proxied = await dialAll(20, plain);
    const strangers = [
      ...(await dialAll(5, plain, '127.0.0.2')),
      ...(await dialAll(5, plain, '127.0.0.3')),
      ...(await dialAll(5, plain, '127.0.0.4')),
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
    ).toEqual({ keepAliveMs: 65_000, maxConnections: 200, maxConnectionsPerAddress: 50 });
    const openFiles = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
    if (openFiles < 999_999)
      expect(config({ MAX_CONNECTIONS: '999999' }).maxConnections).toBe(openFiles - 128);
  });

  it('reject anything but a positive number', () => {
    for (const name of ['KEEP_ALIVE_SECONDS', 'MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_ADDRESS'])
      for (const value of ['0', '-1', '1.5', '1e3', 'many', '99999999'])
        expect(() => readServerConfig(Settings.from({ [name]: value }))).toThrow(`${name} must be a number`);
  });

  it('apply to the server', async () => {
    const booted = await start({ env: { KEEP_ALIVE_SECONDS: '65' } });
    expect(server(booted).keepAliveTimeout).toBe(65_000);
    const socket = await dial((await portsOf(booted)).plain);
    socket.write(request('GET /http/probe HTTP/1.1', 'Host: a'));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(data.toString()).toMatch(/^Keep-Alive: timeout=65\r$/m);
    socket.destroy();
    await booted.close();
  });
});

describe('a client that resets its connection', () => {
  it('causes no failure, whenever it does so', async () => {
    let log = '';
    const booted = await start({ logTo: { write: (line) => void (log += line) } });
    const { plain } = await portsOf(booted);
    const wrong = request('GET /demo/api-key HTTP/1.1', 'Host: a', 'X-API-Key: atlas_DemoKeyOfBob0000.wrong');
    for (let i = 0; i < 50; i++) {
      const socket = await dial(plain);
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
    const { plain } = await portsOf(booted);
    for (let i = 0; i < 6; i++) {
      const socket = await dial(plain);
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
