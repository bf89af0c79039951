import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
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
import { HttpRoutes, expectRejection, parseResponse, request, server } from '../support/wire.js';

const LOCALHOST = { host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false };

const start = (options: BootOptions = {}) => boot({ controllers: [HttpRoutes], ...options });
const portsOf = async ({ origin }: Booted) => ({
  plain: Number(new URL(origin).port),
  tls: Number(new URL((await client(origin).get('/mtls')).body.url as string).port),
});

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

describe('the deadlines and limits of the TLS port', () => {
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
    const socket = connectTls({ port: ports.tls, ...LOCALHOST });
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(parseResponse(data.toString()).status).toBe(408);
    await closed(socket);
    Object.assign(server(booted), { headersTimeout: 10_000, requestTimeout: 30_000 });
  });

  it('close a connection that never reads its responses', async () => {
    Object.assign(server(booted), { responseTimeout: 500 });
    await neverRead(connectTls({ port: ports.tls, ...LOCALHOST }));
    Object.assign(server(booted), { responseTimeout: 60_000 });
  });

  it('reject too many header lines', async () => {
    const socket = connectTls({ port: ports.tls, ...LOCALHOST });
    socket.write(request('GET /http/probe HTTP/1.1', 'Host: localhost', ...Array<string>(1_200).fill('a:')));
    let response = '';
    for await (const chunk of socket.setEncoding('latin1')) response += String(chunk);
    expectRejection(response, 431, 'header_fields_too_large');
  });

  (HAS_MANY_ADDRESSES ? it : it.skip)(
    'close the oldest waiting connections of an address, on both ports together',
    async () => {
      let log = '';
      const limited = await start({
        env: { MAX_CONNECTIONS_PER_ADDRESS: '20' },
        logTo: { write: (line) => void (log += line) },
      });
      const { plain, tls } = await portsOf(limited);
      const handshakes = await dialAll(30, tls, '127.0.0.2');
      expect((await untilOpen(20, handshakes)).length).toBe(20);
      const silent = await dialAll(30, plain, '127.0.0.2');
      expect((await untilOpen(20, [...handshakes, ...silent])).length).toBe(20);
      expect(handshakes.filter((socket) => !socket.closed).length).toBe(0);
      // The address is not locked out, nor is another one.
      expect(await statusOn(await dial(plain, '127.0.0.2'))).toBe(200);
      expect(await statusOn(await dial(plain, '127.0.0.3'))).toBe(200);
      expect(log).toContain('"event":"too many connections"');
      await limited.close();
    },
  );

  it('count a TLS connection once, and no longer than it is open', async () => {
    const limited = await start({ env: { MAX_CONNECTIONS_PER_ADDRESS: '2' } });
    const { plain, tls } = await portsOf(limited);
    const first = await dial(plain);
    for (let i = 0; i < 5; i++) {
      const socket = connectTls({ port: tls, ...LOCALHOST });
      await once(socket, 'secureConnect');
      socket.write(request('GET /http/probe HTTP/1.1', 'Host: localhost', 'Connection: close'));
      await closed(socket);
    }
    expect(await statusOn(first)).toBe(200);
    await limited.close();
  });
});
