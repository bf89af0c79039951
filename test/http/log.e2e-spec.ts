import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Logger, Param, Post, Query, UnauthorizedException } from '@nestjs/common';
import { z } from 'zod';
import { BadCredential } from '../../src/authentication/challenge.js';
import { Public, SelfService } from '../../src/authentication/plan.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { get, parseResponse, sendRaw } from '../support/wire.js';

@Controller('log')
@Public()
class LogRoutes {
  private readonly logger = new Logger('LogRoutes');

  @Get('fine/:secret') fine(@Param('secret') _secret: string, @Query('token') _token: string) {
    return {};
  }
  @Post('fine') body(@Body({ schema: z.strictObject({ password: z.string() }) }) _body: object) {
    return {};
  }
  @Get('refused') refused() {
    throw new UnauthorizedException();
  }
  @Post('broken') broken(@Body() body: object) {
    // Like a database error, which contains the statement and its parameters.
    throw Object.assign(new Error('a constraint failed'), {
      query: 'INSERT',
      parameters: [body],
      driverError: { body },
    });
  }
  @Get('said') async said(@Query('name') name: string) {
    await Promise.resolve();
    this.logger.warn({ event: 'said', name });
    this.logger.log(name);
    this.logger.error(new BadCredential('x', name).message, 'a stack');
    return {};
  }
}

@Controller('log')
class ClosedLogRoutes {
  @Get('closed') @SelfService() closed() {
    return {};
  }
}

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('the log', () => {
  let booted: Booted;
  let written = '';
  const lines = () =>
    written
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  /** The line of a request is written shortly after the client has received the response. */
  const until = async (count: number) => {
    while (lines().filter((line) => line['msg'] === 'request').length < count)
      await new Promise((resolve) => setImmediate(resolve));
    return lines();
  };

  beforeAll(
    async () =>
      (booted = await boot({
        controllers: [LogRoutes, ClosedLogRoutes],
        logTo: { write: (line) => void (written += line) },
      })),
  );
  afterAll(() => booted.close());
  beforeEach(() => {
    written = '';
  });

  it('has one line per request with id, method, route pattern, status, duration and address', async () => {
    const response = await client(booted.origin).get('/log/fine/abc?token=def');
    const [line] = await until(1);
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      requestId: response.headers.get('x-request-id'),
      method: 'GET',
      route: '/log/fine/:secret',
      ip: '127.0.0.1',
      status: 200,
      ms: expect.any(Number),
      msg: 'request',
    });
  });

  it('has no route for an unknown path', async () => {
    await client(booted.origin).get('/no/such/path');
    const [line] = await until(1);
    expect(line).toMatchObject({ status: 404, method: 'GET' });
    expect(line!['route'] ?? null).toBeNull();
  });

  it('has the request id on every line of the request', async () => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client(booted.origin).get(`/log/said?name=n${i}`)),
    );
    const all = await until(20);
    for (const [i, response] of responses.entries()) {
      const own = all.filter((line) => line['requestId'] === response.headers.get('x-request-id'));
      expect(own).toHaveLength(4);
      expect(own[0]).toMatchObject({ event: 'said', name: `n${i}`, context: 'LogRoutes', level: 'warn' });
    }
  });

  it('keeps the type, message and stack of an error', async () => {
    const response = await client(booted.origin).post('/log/broken', {});
    const line = (await until(1)).find((each) => each['event'] === 'failure');
    expect(line).toMatchObject({
      level: 'error',
      requestId: response.body.requestId,
      type: 'Error',
      error: 'a constraint failed',
      stack: expect.stringContaining('log.e2e-spec'),
    });
    expect(line).not.toHaveProperty('parameters');
  });

  describe('attacks', () => {
    it('contains no secret from any part of a request, whatever its outcome', async () => {
      const canaries: string[] = [];
      const canary = () => {
        const each = `canary${canaries.length}x7Zq`;
        canaries.push(each, Buffer.from(`bob:${each}`).toString('base64'));
        return each;
      };
      const headers = (): Record<string, string>[] => [
        { Authorization: basic('bob', canary()) },
        { Authorization: basic(canary(), canary()) },
        { Authorization: `Basic ${canary()}` },
        { Authorization: `Bearer ${canary()}.${canary()}.${canary()}` },
        { Authorization: `ApiKey atlas_${canary()}.${canary()}` },
        { Authorization: `Digest username="${canary()}", response="${canary()}"` },
        { Authorization: `HMAC-SHA256 id="${canary()}", signature="${canary()}"` },
        {
          Authorization: `AWS4-HMAC-SHA256 Credential=${canary()}, SignedHeaders=host, Signature=${canary()}`,
        },
        { Signature: `${canary()}=:AAAA:`, 'Signature-Input': `a=();keyid="${canary()}"` },
        { 'Webhook-Id': canary(), 'Webhook-Signature': canary(), 'Webhook-Source': canary() },
        { Authorization: canary() },
        { Authorization: `${canary()} ${canary()}` },
        { 'X-API-Key': canary() },
        { 'X-API-Key': `atlas_${canary()}.${canary()}` },
        { Cookie: `session=${canary()}; ${canary()}=1` },
        { 'User-Agent': canary(), Referer: `http://${canary()}/`, Origin: `http://${canary()}` },
        { DPoP: canary(), 'X-CSRF-Token': canary(), 'X-Forwarded-For': canary(), 'X-Request-Id': canary() },
        { Accept: canary(), 'If-Match': `"${canary()}"`, 'Content-Type': `application/${canary()}` },
      ];
      const { send } = client(booted.origin);
      let sent = 0;
      const hit = async (...args: Parameters<typeof send>) => {
        sent++;
        return (await send(...args)).status;
      };
      const statuses = new Set<number>();
      for (const each of headers())
        for (const path of ['/log/closed', '/log/fine/a', '/log/refused', '/me', '/nothing'])
          statuses.add(await hit('GET', `${path}?token=${canary()}&${canary()}=1`, { headers: each }));
      for (const path of [
        `/log/fine/${canary()}`,
        `/${canary()}`,
        `/%00${canary()}`,
        `/documents/${canary()}`,
        `/log/closed/${canary()}`,
      ])
        statuses.add(await hit('GET', path));
      const bodies: unknown[] = [
        { password: canary() },
        { password: canary(), [canary()]: canary() },
        { password: { [canary()]: canary() } },
        `{"password":"${canary()}"`,
        `{"${canary()}":1,"a":${canary()}}`,
        `"\u0000${canary()}`,
      ];
      for (const body of bodies)
        for (const path of ['/log/fine', '/log/broken', '/nothing', '/api-keys', '/documents'])
          statuses.add(await hit('POST', path, { body }));
      statuses.add(
        await hit('POST', '/log/fine', { body: canary(), headers: { 'Content-Type': 'text/plain' } }),
      );
      statuses.add(await hit('POST', '/log/fine', { body: canary().repeat(30_000) }));
      for (const bytes of [
        get('/log/fine/a', `Host: ${canary()}`),
        get('/me').replace('atlas.test', canary()),
        get(`http://${canary()}/${canary()}`),
      ]) {
        sent++;
        statuses.add(parseResponse(await sendRaw(booted, bytes)).status);
      }
      // A request that Node's parser rejects has a line of its own.
      for (const bytes of [
        get('/me', `X ${canary()}: a\0b`),
        `${canary()} / HTTP/1.1\r\n\r\n`,
        get('/me', `X: ${canary().repeat(2_000)}`),
      ])
        statuses.add(parseResponse(await sendRaw(booted, bytes)).status);
      await until(sent);
      expect([...statuses]).toEqual(
        expect.arrayContaining([200, 201, 400, 401, 404, 413, 415, 422, 431, 500]),
      );
      expect(canaries.length).toBeGreaterThan(100);
      expect(canaries.filter((each) => written.includes(each))).toEqual([]);
    });

    it('escapes line breaks and terminal control characters of a client', async () => {
      const evil =
        'a\r\nb\u001b[2J\u001b[31mc\u2028d\u2029e\u0085f\u009bg\u202eh","level":"fatal","x":"\u007f\0';
      const response = await client(booted.origin).get(
        `/log/said?name=${encodeURIComponent(evil.replace('\0', ''))}`,
      );
      expect(response.status).toBe(200);
      const all = await until(1);
      expect(all.map((line) => line['level'])).toEqual(['warn', 'info', 'error', 'info']);
      expect(all[0]!['name']).toBe(evil.replace('\0', ''));
      expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      written = '';
      await client(booted.origin, { 'User-Agent': 'a\u0085b', ...as({ id: 'x\r\ny' }) }).get('/me');
      expect(await until(1)).toHaveLength(1);
    });
  });
});
