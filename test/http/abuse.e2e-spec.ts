import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { boot, client, type Booted } from '../support/app.js';
import {
  HttpRoutes,
  expectRejection,
  open,
  parseResponse,
  post,
  handlerCalls,
  request,
  sendRaw,
  server,
} from '../support/wire.js';

describe('requests that exhaust resources or probe for information', () => {
  let booted: Booted;
  const env = { KEEP_ALIVE_SECONDS: undefined };
  beforeAll(async () => (booted = await boot({ controllers: [HttpRoutes], env })));
  afterAll(() => booted.close());

  it('rejects a body that is too large, endless, compressed or shorter than its Content-Length', async () => {
    const before = handlerCalls.count;
    expectRejection(
      await sendRaw(booted, post('Content-Length: 10485760') + 'x'.repeat(1_000)),
      413,
      'payload_too_large',
    );
    expectRejection(
      await sendRaw(booted, post('Content-Length: 99999999999999') + 'x'),
      413,
      'payload_too_large',
    );
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    expectRejection(
      await sendRaw(booted, post('Transfer-Encoding: chunked') + chunk.repeat(40)),
      413,
      'payload_too_large',
    );
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const zipped = Buffer.concat([
      Buffer.from(post(`Content-Length: ${bomb.length}`, 'Content-Encoding: gzip', 'Connection: close')),
      bomb,
    ]);
    expectRejection(await sendRaw(booted, zipped), 415, 'unsupported_media_type');
    // The bytes after a body with a too small Content-Length are a malformed request of their own.
    const lie = await sendRaw(booted, `${post('Content-Length: 12')}{"name":"a"}{"name":"b"}`);
    expect([...lie.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['201', '400']);
    expect(handlerCalls.count - before).toBe(1);
    // The connection of an endless sender is closed even if it never reads the response.
    const endless = open(booted);
    const closed = new Promise((resolve) => endless.once('close', resolve));
    endless.resume().write(post('Transfer-Encoding: chunked'));
    const feed = () => void (endless.writable && endless.write(chunk, () => setImmediate(feed)));
    feed();
    await closed;
  });

  it('rejects a body in thousands of tiny chunks', async () => {
    const chunks = (count: number) =>
      `${post('Transfer-Encoding: chunked', 'Connection: close')}${'1\r\n \r\n'.repeat(count)}c\r\n{"name":"a"}\r\n0\r\n\r\n`;
    expect(parseResponse(await sendRaw(booted, chunks(1_000))).status).toBe(201);
    expectRejection(await sendRaw(booted, chunks(5_000)), 413, 'payload_too_large');
  });

  it('disconnects slow senders and serves other clients meanwhile', async () => {
    const slow = await boot({ controllers: [HttpRoutes] });
    Object.assign(server(slow), { headersTimeout: 300, requestTimeout: 600, keepAliveTimeout: 300 });
    const silent = Array.from({ length: 100 }, () => sendRaw(slow, ''));
    const headers = Array.from({ length: 100 }, () =>
      sendRaw(slow, 'GET /http/probe HTTP/1.1\r\nHost: a\r\nX-A'),
    );
    const bodies = Array.from({ length: 100 }, () =>
      sendRaw(
        slow,
        `${request('POST /http/body HTTP/1.1', 'Host: a', 'Content-Type: application/json', 'Content-Length: 12')}{"na`,
      ),
    );
    const idle = sendRaw(slow, request('GET /http/probe HTTP/1.1', 'Host: a'));
    expect((await client(slow.origin).get('/health/ready')).status).toBe(200);
    for (const response of await Promise.all([...silent, ...headers, ...bodies]))
      expectRejection(response, 408, 'request_timeout');
    expect(parseResponse(await idle).status).toBe(200);
    await slow.close();
  });

  it('has the same limits on both adapters', () => {
    expect(server(booted)).toMatchObject({
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
    });
  });

  it('reveals nothing to a thousand malformed requests', async () => {
    let seed = 20;
    const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    const parts = [
      '{',
      '}',
      '"',
      '\\',
      '\0',
      '%',
      '%00',
      "' OR 1=1 --",
      '<script>',
      '../',
      '[]',
      '9'.repeat(400),
      '\u202e',
      '${x}',
      ':',
      'name',
      '"name":',
      ',',
      '\r\n',
    ];
    const some = () => Array.from({ length: 1 + random(6) }, () => parts[random(parts.length)]!).join('');
    const { send } = client(booted.origin);
    for (let i = 0; i < 1_000; i++) {
      const path = ['/http/body', '/http/query?', '/me/', '/openapi/'][random(4)]!;
      const target = path + (path.endsWith('body') ? '' : encodeURI(some()));
      const method = path.endsWith('body') ? 'POST' : 'GET';
      const response = await send(method, target, method === 'POST' ? { body: `{${some()}` } : {});
      const text = JSON.stringify(response.body);
      expect([target, response.status >= 400 && response.status < 500]).toEqual([target, true]);
      expect(response.body.code).toEqual(expect.any(String));
      expect(text).not.toMatch(/node_modules|\.ts\b|\.js\b|SELECT|sqlite|SyntaxError|fastify|express|nest/i);
    }
  });
});
