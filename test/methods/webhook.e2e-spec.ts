import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Put } from '@nestjs/common';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { SelfService } from '../../src/authentication/plan.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal } from '../../src/authentication/principal.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { Document } from '../../src/documents/document.entity.js';
import { signedEvent, withWebhook } from '../../src/methods/webhook/webhook.client.js';
import { WebhookController } from '../../src/methods/webhook/webhook.controller.js';
import { DEMO_SOURCE } from '../../src/methods/webhook/webhook.demo.js';
import { WebhookMessage, WebhookSource } from '../../src/methods/webhook/webhook.entity.js';
import { WebhookInbox } from '../../src/methods/webhook/webhook.inbox.service.js';
import {
  TOLERANCE_SECONDS,
  isWithinTolerance,
  isSignedBy,
  parseSecret,
  isRequestIdFor,
  newMessageId,
  newRequestId,
  newSecret,
  parseHeaders,
  sign,
} from '../../src/methods/webhook/webhook.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';
import { contract } from './webhook.contract.js';

satisfiesTheContract(contract);

const EVENT = { type: 'contact.created', timestamp: '2022-11-03T20:26:10.344522Z', data: { id: '1f81eb52' } };
const BODY = JSON.stringify(EVENT);
const now = () => Math.floor(Date.now() / 1000);

/** The headers of an attempt, with any id, timestamp and body. */
function attempt(secret: string, { id = newMessageId(), timestamp = String(now()), body = BODY } = {}) {
  const signature = sign(parseSecret(secret)!, {
    id,
    timestamp: timestamp as never,
    body: Buffer.from(body),
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
}

/** Another route at the path of messages. */
@Controller()
class OtherRoute {
  @Put('webhooks/:source')
  @SelfService()
  put() {
    return { reached: true };
  }
}

describe('webhook', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [OtherRoute] })));
  afterAll(() => booted.close());

  interface Issued {
    readonly id: string;
    readonly secret: string;
  }
  /** bob, signed in by another method, without limits. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const issue = async (body: object = {}, who = bob()) => {
    const response = await who.post('/webhook-sources', { name: 'test', ...body });
    expect(response.status).toBe(201);
    return response.body as Issued;
  };
  const deliver = (id: string, headers: Record<string, string>, body: string = BODY) =>
    client(booted.origin).send('POST', `/webhooks/${id}`, { body, headers });
  /** Signs a request to any route. */
  const signFor = async ({ id, secret }: Issued, method: string, path: string, body?: string) => {
    const request = new Request(booted.origin + path, { method, ...(body !== undefined && { body }) });
    const { headers } = await withWebhook({ source: id, secret })(request);
    return Object.fromEntries([...headers].filter(([name]) => name.startsWith('webhook-')));
  };
  const expectRejected = ({ status, body, headers }: TestResponse) =>
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([
      401,
      'invalid_webhook',
      'Webhook realm="auth-atlas", error="invalid_webhook"',
    ]);
  const expectAccepted = ({ status, body }: TestResponse, duplicate = false) =>
    expect([status, body]).toEqual([200, { id: expect.any(String), type: 'contact.created', duplicate }]);
  const row = (id: string) => booted.db.manager.findOneByOrFail(WebhookSource, { id });
  const update = (id: string, changes: Partial<WebhookSource>) =>
    booted.db.manager.update(WebhookSource, { id }, changes);
  const eventsOf = (id: string) =>
    booted.db.manager.find(AuditEvent, { where: { target: `webhook-source:${id}` }, order: { seq: 'ASC' } });
  const processed = async (id: string) =>
    (await eventsOf(id)).filter(({ event }) => event === 'sensitive_create').length;

  it('issues a source with an address and a secret that is returned once', async () => {
    const { status, body } = await bob().post('/webhook-sources', { name: 'address book' });
    expect([status, body]).toEqual([
      201,
      {
        id: expect.stringMatching(/^src_[0-9a-f]{24}$/),
        name: 'address book',
        url: expect.stringContaining(`/webhooks/${body.id}`),
        scopes: [],
        createdAt: expect.any(String),
        expiresAt: null,
        lastUsedAt: null,
        previousUntil: null,
        secret: expect.stringMatching(/^whsec_.{44}$/),
      },
    ]);
    const { secret, ...rest } = body;
    const list = (await bob().get('/webhook-sources')).body.items;
    expect(list).toContainEqual(rest);
    expect(JSON.stringify(list)).not.toContain(secret);
  });

  it('computes the signature of the standard', () => {
    const key = parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')!;
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1614265330,
      body: Buffer.from('{"test": 2432232314}'),
    };
    const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
    expect(sign(key, message)).toBe(signature);
    expect(isSignedBy([key], message, [signature])).toBe(true);
  });

  it('accepts a message that the reference implementation signed, and records it in the audit log', async () => {
    const { id, secret } = await issue();
    const at = new Date();
    const headers = {
      'webhook-id': 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign('msg_2KWPBgLlAfxdpx2AI54pPJ85f4W', at, BODY),
    };
    const { status, body } = await deliver(id, headers);
    expect([status, body]).toEqual([
      200,
      { id: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W', type: 'contact.created', duplicate: false },
    ]);
    expect((await eventsOf(id)).at(-1)).toMatchObject({
      event: 'sensitive_create',
      userId: 'bob',
      method: 'webhook',
      credentialId: id,
      details: { message: expect.stringMatching(/^.{43}$/), body: expect.stringMatching(/^.{43}$/) },
    });
  });

  describe('an outgoing document event', () => {
    const servers: Server[] = [];
    afterAll(() => servers.forEach((server) => server.close()));
    /** A receiver that uses the reference implementation only. */
    const receiver = async (secret: string) => {
      const events: unknown[] = [];
      const server = createServer((request, response) => {
        const verify = async (headers: IncomingHttpHeaders) =>
          new Webhook(secret).verify(await buffer(request), headers as Record<string, string>);
        verify(request.headers).then(
          (event) => response.writeHead(204).end(void events.push(event)),
          (error: unknown) => response.writeHead(error instanceof WebhookVerificationError ? 401 : 500).end(),
        );
      }).listen(0, '127.0.0.1');
      servers.push(server);
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
      const send = async (init: RequestInit) => (await fetch(url, { method: 'POST', ...init })).status;
      return { events, send };
    };

    it('is accepted by the reference implementation', async () => {
      const secret = newSecret();
      const { events, send } = await receiver(secret);
      const data = (await bob().get('/documents/bob-draft-public')).body as object;
      const event = { type: 'document.updated', timestamp: new Date().toISOString(), data };
      expect(await send(signedEvent(secret, event))).toBe(204);
      expect(await send(signedEvent(newSecret(), event))).toBe(401);
      const { headers, body } = signedEvent(secret, event);
      expect(await send({ headers, body: `${body} ` })).toBe(401);
      expect(events).toEqual([{ ...event, data: expect.objectContaining({ id: 'bob-draft-public' }) }]);
    });

    it('is signed with both secrets during a rotation', async () => {
      const [before, after] = [newSecret(), newSecret()];
      const event = { type: 'document.deleted', timestamp: new Date().toISOString(), data: {} };
      for (const secret of [before, after]) {
        const { send } = await receiver(secret);
        expect(await send(signedEvent([after, before], event))).toBe(204);
      }
      expect(() => signedEvent('whsec_short', event)).toThrow('24 to 64 bytes');
    });
  });

  it('accepts signed requests to other routes, with an id that names the request', async () => {
    const scopes = ['documents:read', 'documents:write'];
    const source = await issue({ scopes });
    const path = '/documents';
    const body = JSON.stringify({ title: 'by a signature' });
    const headers = await signFor(source, 'POST', path, body);
    const response = await client(booted.origin).send('POST', path, { body, headers });
    expect([response.status, response.body.ownerId]).toEqual([201, 'bob']);
    const id = newRequestId('GET', '/me');
    const at = new Date();
    const reference = {
      'Webhook-Source': source.id,
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(source.secret).sign(id, at, ''),
    };
    expect((await client(booted.origin).get('/me', reference)).body).toMatchObject({
      id: 'bob',
      scopes,
      proofs: [{ method: 'webhook', credentialId: source.id, amr: ['pop'], bound: true, restricted: true }],
    });
  });

  describe('a message', () => {
    it('is processed once when it is delivered again', async () => {
      const { id, secret } = await issue();
      const message = newMessageId();
      const at = (seconds: number) =>
        deliver(id, attempt(secret, { id: message, timestamp: String(now() + seconds) }));
      expectAccepted(await at(-5));
      expectAccepted(await at(0), true);
      expectAccepted(await at(5), true);
      expect(await processed(id)).toBe(1);
    });

    it('is another message if another source sends the same id', async () => {
      const [one, other] = [await issue(), await issue()];
      for (const { id, secret } of [one, other])
        expectAccepted(await deliver(id, attempt(secret, { id: 'order-17' })));
    });

    it('is processed at the retry if its processing failed', async () => {
      const { id, secret } = await issue();
      const message = newMessageId();
      const at = (seconds: number) =>
        deliver(id, attempt(secret, { id: message, timestamp: String(now() + seconds) }));
      await booted.db.query('ALTER TABLE audit_events RENAME TO audit_events_away');
      const failed = await at(0);
      await booted.db.query('ALTER TABLE audit_events_away RENAME TO audit_events');
      expect(failed.status).toBe(500);
      expectAccepted(await at(1));
      expectAccepted(await at(2), true);
    });

    it('gets a 503 while replays cannot be detected', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const failed = await deliver(id, headers);
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expect(failed.status).toBe(503);
      expectAccepted(await deliver(id, headers));
    });

    it('is remembered for a week, and then deleted', async () => {
      const { id, secret } = await issue();
      expectAccepted(await deliver(id, attempt(secret)));
      const messages = () => booted.db.manager.findBy(WebhookMessage, { sourceId: id });
      const inbox = booted.app.get(WebhookInbox);
      await inbox.cleanUp();
      const [message] = await messages();
      expect(Number(message?.until) - now() - 7 * 86_400).toBeLessThanOrEqual(0);
      expect(Number(message?.until) - now() - 7 * 86_400).toBeGreaterThan(-60);
      await booted.db.manager.update(WebhookMessage, { sourceId: id }, { until: now() - 1 });
      await inbox.cleanUp();
      expect(await messages()).toEqual([]);
    });

    it('may have additional members, and needs those of the standard', async () => {
      const { id, secret } = await issue();
      const send = (event: object) => {
        const body = JSON.stringify(event);
        return deliver(id, attempt(secret, { body }), body);
      };
      expectAccepted(await send({ ...EVENT, version: 2, data: { deep: [{ er: null }] } }));
      for (const [wrong, field] of [
        [{ ...EVENT, type: 'contact..created' }, 'type'],
        [{ ...EVENT, type: 'contact created' }, 'type'],
        [{ ...EVENT, type: 'x'.repeat(129) }, 'type'],
        [{ ...EVENT, timestamp: 'yesterday' }, 'timestamp'],
        [{ ...EVENT, data: 'text' }, 'data'],
        [{ type: 'contact.created', timestamp: EVENT.timestamp }, 'data'],
        [[EVENT], 'body'],
      ] as const) {
        const { status, body } = await send(wrong);
        expect([status, body.code, body.errors[0].field]).toEqual([422, 'invalid_body', field]);
      }
      expect(await processed(id)).toBe(1);
    });
  });

  it('stores the last use, and records the life of a source in the audit log', async () => {
    const { id, secret } = await issue();
    expectAccepted(await deliver(id, attempt(secret)));
    await booted.app.get(LastUsed).flush();
    expect((await row(id)).lastUsedAt).toBeInstanceOf(Date);
    await bob().post(`/webhook-sources/${id}/rotate`);
    expect((await bob().send('DELETE', `/webhook-sources/${id}`)).status).toBe(204);
    expect((await eventsOf(id)).map(({ event, details }) => [event, details])).toEqual([
      ['authn_token_created', {}],
      ['sensitive_create', expect.anything()],
      ['authn_token_created', { rotated: true }],
      ['authn_token_revoked', {}],
    ]);
  });

  describe('rotation', () => {
    const rotate = async (id: string, body?: object) => {
      const response = await bob().post(`/webhook-sources/${id}/rotate`, body);
      expect(response.status).toBe(201);
      return response.body as Issued;
    };
    const isAccepted = async (id: string, secret: string) =>
      (await deliver(id, attempt(secret))).status === 200;

    it('accepts the previous secret during the overlap, and not longer', async () => {
      const old = await issue();
      const { secret } = await rotate(old.id);
      expect([await isAccepted(old.id, old.secret), await isAccepted(old.id, secret)]).toEqual([true, true]);
      await update(old.id, { previousUntil: new Date() });
      expect([await isAccepted(old.id, old.secret), await isAccepted(old.id, secret)]).toEqual([false, true]);
    });

    it('rejects the previous secret at once without overlap, and never accepts three', async () => {
      const { id, secret } = await issue();
      const second = (await rotate(id, { overlapSeconds: 0 })).secret;
      expect([await isAccepted(id, secret), await isAccepted(id, second)]).toEqual([false, true]);
      const third = (await rotate(id)).secret;
      const fourth = (await rotate(id)).secret;
      expect(await Promise.all([second, third, fourth].map((each) => isAccepted(id, each)))).toEqual([
        false,
        true,
        true,
      ]);
    });

    it('accepts a sender that signs with both secrets, whichever one is stored', async () => {
      const [known, other] = [await issue(), newSecret()];
      for (const secrets of [
        [known.secret, other],
        [other, known.secret],
      ]) {
        const { headers, body } = signedEvent(secrets, EVENT);
        expectAccepted(await deliver(known.id, headers, body));
      }
    });

    it('accepts a secret that the sender generated, and rejects malformed and guessable ones', async () => {
      const own = newSecret();
      const { id, secret } = await issue({ secret: own });
      expect([secret, await isAccepted(id, own)]).toEqual([own, true]);
      const next = `whsec_${randomBytes(24).toString('base64')}`;
      expect((await rotate(id, { secret: next, overlapSeconds: 0 })).secret).toBe(next);
      expect([await isAccepted(id, own), await isAccepted(id, next)]).toEqual([false, true]);
      for (const wrong of [
        '',
        'whsec_',
        next.slice('whsec_'.length),
        next.replace('whsec_', 'WHSEC_'),
        `${next}=`,
        `${next} `,
        `whsec_${randomBytes(23).toString('base64')}`,
        `whsec_${randomBytes(65).toString('base64')}`,
        `whsec_${randomBytes(32).toString('hex')}!`,
        `whsec_${Buffer.alloc(32, 0xff).toString('base64url')}`,
        ...[Buffer.alloc(24), Buffer.alloc(64, 0xff), Buffer.from('password password password')].map(
          (bytes) => `whsec_${bytes.toString('base64')}`,
        ),
        DEMO_SOURCE.secret,
      ])
        for (const path of ['/webhook-sources', `/webhook-sources/${id}/rotate`]) {
          const { status, body } = await bob().post(path, {
            ...(path === '/webhook-sources' && { name: 'x' }),
            secret: wrong,
          });
          expect([status, body.errors[0].field]).toEqual([422, 'secret']);
        }
    });
  });

  describe('attacks', () => {
    const everything = async () =>
      JSON.stringify([
        await booted.db.manager.find(Document, { order: { id: 'ASC' } }),
        await booted.db.query('SELECT id, secret, "revokedAt" FROM webhook_sources ORDER BY id'),
        await booted.db.query('SELECT * FROM webhook_messages ORDER BY id, "sourceId"'),
        await booted.db.query('SELECT * FROM api_keys ORDER BY id'),
      ]);

    it('rejects a replay, also with additional signatures', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      expectAccepted(await deliver(id, headers));
      expectRejected(await deliver(id, headers));
      expectRejected(
        await deliver(id, { ...headers, 'webhook-signature': `v1,x ${headers['webhook-signature']}` }),
      );
      expectRejected(await deliver(id, { ...headers, 'Webhook-Source': id }));
      expect(await processed(id)).toBe(1);
    });

    it('rejects a timestamp more than five minutes off', async () => {
      const { id, secret } = await issue();
      for (const seconds of [-TOLERANCE_SECONDS + 30, TOLERANCE_SECONDS - 30])
        expectAccepted(await deliver(id, attempt(secret, { timestamp: String(now() + seconds) })));
      for (const seconds of [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 30, -86_400, 86_400])
        expectRejected(await deliver(id, attempt(secret, { timestamp: String(now() + seconds) })));
      const at = 1_700_000_000;
      const seen = [-301, -300, 300, 301].map((offset) => isWithinTolerance(at + offset, at * 1000));
      expect(seen).toEqual([false, true, true, false]);
    });

    it('accepts one spelling of a timestamp: whole seconds', async () => {
      const { id, secret } = await issue();
      const good = String(now());
      for (const timestamp of [
        '',
        '0',
        `-${good}`,
        `+${good}`,
        `0${good}`,
        `${good}.0`,
        `${good}e0`,
        `0x${now().toString(16)}`,
        `${good},${good}`,
        `${good}abc`,
        `${good}000`,
        '9'.repeat(400),
        'Infinity',
        'NaN',
        new Date().toISOString(),
      ])
        for (const signed of [timestamp, good])
          expectRejected(
            await deliver(id, { ...attempt(secret, { timestamp: signed }), 'webhook-timestamp': timestamp }),
          );
      for (const timestamp of [`${good}\n`, ` ${good}`, `${good} `, '１７００００００００', '٣'])
        expect(parseHeaders('id', timestamp, 'v1,x')).toBeUndefined();
    });

    it('rejects an id with a full stop, white space or non-ASCII characters', async () => {
      const { id, secret } = await issue();
      const timestamp = String(now());
      for (const message of ['', '.', 'msg.1', `msg.${timestamp}`, 'a b', 'é', 'x'.repeat(257)])
        expectRejected(await deliver(id, attempt(secret, { id: message, timestamp })));
      for (const message of ['a\n', '\0', 'a\tb', '\x7f', '\u2024', '\ufeff'])
        expect(parseHeaders(message, timestamp, 'v1,x')).toBeUndefined();
      // A message `a` with the body `1.{…}` must not pass as the message `a.<timestamp>` with the body `{…}`.
      const { 'webhook-signature': signature } = attempt(secret, {
        id: 'a',
        timestamp,
        body: `${timestamp}.${BODY}`,
      });
      expectRejected(
        await deliver(id, {
          'webhook-id': `a.${timestamp}`,
          'webhook-timestamp': timestamp,
          'webhook-signature': signature,
        }),
      );
      expectAccepted(await deliver(id, attempt(secret, { id: `~!"/,${'x'.repeat(251)}` })));
    });

    it('rejects a changed body, including its white space', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      for (const body of [
        BODY.replace('1f81eb52', '1f81eb53'),
        JSON.stringify(EVENT, null, 2),
        ` ${BODY}`,
        `${BODY}\n`,
        JSON.stringify({ data: EVENT.data, type: EVENT.type, timestamp: EVENT.timestamp }),
        BODY.replace('contact', '\\u0063ontact'),
      ]) {
        expect(JSON.parse(body)).toBeDefined();
        expectRejected(await deliver(id, headers, body));
      }
      const { status } = await fetch(`${booted.origin}/webhooks/${id}`, { method: 'POST', headers });
      expect(status).toBe(401);
      expectAccepted(await deliver(id, headers));
    });

    it('rejects an empty body as an event, and a body that was added to it', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret, { body: '' });
      expectRejected(await deliver(id, headers));
      const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      const nothing = (...more: string[]) =>
        client(booted.origin).raw(
          `POST /webhooks/${id} HTTP/1.1`,
          'Host: localhost',
          'Connection: close',
          'Content-Type: application/json',
          ...fields,
          ...more,
          '',
        );
      // An empty chunked body is correctly signed, so it uses up the attempt. The same attempt without chunks is a replay.
      expect(await nothing('Transfer-Encoding: chunked', '', '0')).toMatch(
        /^HTTP\/1\.1 422 .*"invalid_body"/s,
      );
      expect(await nothing('Content-Length: 0')).toMatch(/^HTTP\/1\.1 401 .*"invalid_webhook"/s);
      expect(await processed(id)).toBe(0);
    });

    it('rejects the secret of another source, of this account or another tenant', async () => {
      const mallory = client(booted.origin, as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }));
      const [mine, other, theirs] = [await issue(), await issue(), await issue({}, mallory)];
      for (const { id, secret } of [
        { id: mine.id, secret: other.secret },
        { id: theirs.id, secret: mine.secret },
        { id: mine.id, secret: theirs.secret },
        { id: 'src_nobody', secret: mine.secret },
        { id: 'nobody', secret: mine.secret },
      ])
        expectRejected(await deliver(id, attempt(secret)));
      // The owner cannot deliver messages with another method either.
      const { status, body } = await bob().post(`/webhooks/${mine.id}`, EVENT);
      expect([status, body.code]).toEqual([401, 'unauthenticated']);
      expect(await Promise.all([mine, theirs].map(({ id }) => processed(id)))).toEqual([0, 0]);
    });

    it('ignores signatures of other versions', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      const good = headers['webhook-signature'];
      for (const signature of [
        good.replace('v1,', 'v1a,'),
        good.replace('v1,', 'v2,'),
        good.replace('v1,', 'V1,'),
        good.replace('v1,', 'v1=,'),
        good.replace('v1,', 'v1, '),
        good.replace('v1,', ''),
        good.replace('v1,', ','),
        `v0,${good}`,
        'v1',
        'v1,',
      ])
        expectRejected(await deliver(id, { ...headers, 'webhook-signature': signature }));
      expectAccepted(await deliver(id, { ...headers, 'webhook-signature': `v1a,hnO3f9T8Ytu9== v9 ${good}` }));
    });

    it('rejects more than ten signatures', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      const others = (count: number) =>
        Array.from({ length: count }, () => attempt(newSecret())['webhook-signature']);
      const among = (count: number) =>
        deliver(id, {
          ...headers,
          'webhook-signature': [headers['webhook-signature'], ...others(count)].join(' '),
        });
      for (const count of [10, 250]) expectRejected(await among(count));
      expectRejected(await deliver(id, { ...headers, 'webhook-signature': ' '.repeat(15) + 'v1' }));
      expectAccepted(await among(9));
    });

    it('rejects a signature of more than 128 characters, also next to a valid one', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      const beside = (length: number) =>
        deliver(id, {
          ...headers,
          'webhook-signature': `v2,${'A'.repeat(length - 3)} ${headers['webhook-signature']}`,
        });
      for (const length of [129, 10_000]) expectRejected(await beside(length));
      expectAccepted(await beside(128));
    });

    it('rejects another encoding and another length of the signature', async () => {
      const { id, secret } = await issue();
      let headers = attempt(secret);
      while (!/[+/]/.test(headers['webhook-signature'])) headers = attempt(secret);
      const good = headers['webhook-signature'];
      const bytes = Buffer.from(good.slice(3), 'base64');
      // The last character has two unused bits.
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
      const loose = `v1,${good.slice(3, -2)}${letters[letters.indexOf(good.at(-2)!) + 1]}=`;
      expect(Buffer.from(loose.slice(3), 'base64')).toEqual(bytes);
      for (const signature of [
        loose,
        good.slice(0, -1),
        `${good}=`,
        `${good}A`,
        `v1,${bytes.toString('base64url')}=`,
        `v1,${bytes.toString('hex')}`,
        `v1,${bytes.subarray(0, 31).toString('base64')}`,
        `v1,${bytes.subarray(0, 1).toString('base64')}`,
        `v1,${Buffer.concat([bytes, bytes]).toString('base64')}`,
        `v1,${Buffer.alloc(32).toString('base64')}`,
        `"${good}"`,
      ])
        expectRejected(await deliver(id, { ...headers, 'webhook-signature': signature }));
      expectAccepted(await deliver(id, headers));
    });

    it('rejects a revoked and an expired source', async () => {
      const revoked = await issue();
      await bob().send('DELETE', `/webhook-sources/${revoked.id}`);
      expectRejected(await deliver(revoked.id, attempt(revoked.secret)));
      const expired = await issue({ expiresAt: new Date(Date.now() + 60_000).toISOString() });
      expectAccepted(await deliver(expired.id, attempt(expired.secret)));
      await update(expired.id, { expiresAt: new Date() });
      expectRejected(await deliver(expired.id, attempt(expired.secret)));
      expect((await bob().post(`/webhook-sources/${revoked.id}/rotate`)).status).toBe(404);
    });

    it('rejects a captured delivery at any other address', async () => {
      const source = await issue({ scopes: ['documents:read', 'documents:write', 'documents:delete'] });
      const other = await issue();
      // The worst case: customers of the sender choose the whole body.
      const body = JSON.stringify({ title: 'planted', name: 'planted', ...EVENT });
      const headers = { ...attempt(source.secret, { body }), 'Webhook-Source': source.id };
      const before = await everything();
      for (const [method, path] of [
        ['POST', '/documents'],
        ['POST', '/api-keys'],
        ['POST', '/webhook-sources'],
        ['POST', `/webhook-sources/${source.id}/rotate`],
        ['POST', '/auth/logout'],
        ['PATCH', '/documents/bob-draft-public'],
        ['DELETE', `/webhook-sources/${source.id}`],
        ['PUT', `/webhooks/${source.id}`],
      ] as const)
        expectRejected(await client(booted.origin).send(method, path, { body, headers }));
      const { 'Webhook-Source': _, ...unnamed } = headers;
      expectRejected(await deliver(other.id, unnamed, body));
      const empty = { ...attempt(source.secret, { body: '' }), 'Webhook-Source': source.id };
      for (const path of ['/me', '/demo/webhook', '/documents'])
        expectRejected(await client(booted.origin).get(path, empty));
      expect(await everything()).toBe(before);
      // The attempt is still unused.
      expectAccepted(await deliver(source.id, headers, body));
    });

    it('rejects a captured request with another method, path or query, or as a message', async () => {
      const source = await issue({ scopes: ['documents:read', 'documents:write'] });
      const headers = await signFor(source, 'GET', '/documents?limit=1');
      const before = await everything();
      for (const [method, path] of [
        ['GET', '/documents'],
        ['GET', '/documents?limit=10'],
        ['GET', '/documents?limit=1&'],
        ['GET', '/me'],
        ['HEAD', '/documents?limit=1'],
        ['DELETE', '/documents/bob-draft-public'],
      ] as const)
        expect((await client(booted.origin).send(method, path, { headers })).status).toBe(401);
      const posted = await signFor(source, 'POST', '/documents', BODY);
      expectRejected(await deliver(source.id, posted));
      expect(await everything()).toBe(before);
      expect((await client(booted.origin).get('/documents?limit=1', headers)).status).toBe(200);
      // A request id may also name the address of messages.
      expectAccepted(await deliver(source.id, await signFor(source, 'POST', `/webhooks/${source.id}`, BODY)));
    });

    it('rejects a path and a header that name different sources', async () => {
      const [one, other] = [await issue(), await issue()];
      for (const { secret } of [one, other]) {
        const { status, body } = await deliver(one.id, {
          ...attempt(secret),
          'Webhook-Source': other.id,
        });
        expect([status, body.code]).toEqual([400, 'ambiguous_credentials']);
      }
      expect(await Promise.all([one, other].map(({ id }) => processed(id)))).toEqual([0, 0]);
    });

    it("rejects a source at another source's address, even if the router matched it", async () => {
      const [one, other] = [await issue(), await issue()];
      const proof = {
        method: 'webhook',
        credentialId: one.id,
        at: new Date(),
        amr: [],
        bound: true,
      } as const;
      const sender: Principal = { id: 'bob', kind: 'user', tenantId: 'acme', roles: [], proofs: [proof] };
      const request = { header: () => 'msg_1', rawBody: Buffer.from(BODY) } as unknown as AuthRequest;
      const receive = (source: string) =>
        booted.app.get(WebhookController).receiveWebhook(sender, request, source, EVENT);
      await expect(receive(other.id)).rejects.toThrow('Not Found');
      expect(await receive(one.id)).toMatchObject({ id: 'msg_1', duplicate: false });
      expect(await Promise.all([one, other].map(({ id }) => processed(id)))).toEqual([1, 0]);
    });

    it('rejects duplicate headers and a second credential', async () => {
      const { id, secret } = await issue();
      const fields = { ...attempt(secret), 'Webhook-Source': id };
      for (const twice of Object.keys(fields)) {
        const lines = Object.entries(fields).flatMap(([name, value]) =>
          Array.from({ length: name === twice ? 2 : 1 }, () => `${name}: ${value}`),
        );
        const response = await client(booted.origin).raw(
          `POST /webhooks/${id} HTTP/1.1`,
          'Host: localhost',
          'Connection: close',
          'Content-Type: application/json',
          `Content-Length: ${BODY.length}`,
          ...lines,
          '',
          BODY,
        );
        expect(response).toMatch(/^HTTP\/1\.1 400 .*"duplicate_header"/s);
      }
      for (const more of [as({ id: 'bob' }), { Authorization: 'Bearer x' }]) {
        const { status, body } = await deliver(id, { ...fields, ...more });
        expect([status, body.code]).toEqual([400, 'ambiguous_credentials']);
      }
      expectAccepted(await deliver(id, fields));
    });

    it("rejects a sender's secret for documents and for managing credentials", async () => {
      const plain = await issue();
      const wide = await issue({ scopes: ['documents:read', 'documents:write'] });
      const before = await everything();
      const status = async (source: Issued, method: string, path: string, body?: object) => {
        const text = body && JSON.stringify(body);
        const headers = await signFor(source, method, path, text);
        return (await client(booted.origin).send(method, path, { ...(text && { body: text }), headers }))
          .status;
      };
      for (const path of ['/me', '/demo/webhook']) expect(await status(plain, 'GET', path)).toBe(200);
      for (const [method, path, body] of [
        ['GET', '/documents'],
        ['POST', '/documents', { title: 'x' }],
        ['GET', '/webhook-sources'],
        ['POST', '/api-keys', { name: 'x', scopes: [] }],
        ['DELETE', '/sessions'],
        ['GET', '/me?x=1'],
      ] as const)
        expect(await status(plain, method, path, body)).toBe(403);
      for (const source of [plain, wide]) {
        expect(await status(source, 'POST', '/webhook-sources', { name: 'x', scopes: [] })).toBe(403);
        expect(await status(source, 'POST', `/webhook-sources/${source.id}/rotate`)).toBe(403);
        expect(await status(source, 'DELETE', `/webhook-sources/${source.id}`)).toBe(403);
      }
      expect(await everything()).toBe(before);
    });

    it('responds alike to an unknown source, a wrong secret and a replay', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      expectAccepted(await deliver(id, headers));
      const seen = ({ status, headers, body }: TestResponse) => [
        status,
        headers.get('www-authenticate'),
        { ...body, requestId: '' },
      ];
      const replayed = seen(await deliver(id, headers));
      expect(replayed).toEqual(seen(await deliver('src_nobody', headers)));
      expect(replayed).toEqual(seen(await deliver(id, attempt(newSecret()))));
    });

    it('does not use up an attempt with rejected copies', async () => {
      const { id, secret } = await issue();
      const headers = attempt(secret);
      expectRejected(
        await deliver(id, { ...headers, 'webhook-signature': attempt(newSecret())['webhook-signature'] }),
      );
      expectRejected(await deliver(id, headers, `${BODY} `));
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
      expectRejected(await deliver(id, headers));
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: null });
      expectAccepted(await deliver(id, headers));
    });

    it("hides another account's source from list, rotation and revocation", async () => {
      const { id, secret } = await issue();
      const before = await row(id);
      for (const other of [
        as({ id: 'carol', roles: ['viewer'] }),
        as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }),
      ]) {
        const who = client(booted.origin, other);
        expect((await who.post(`/webhook-sources/${id}/rotate`)).body.code).toBe('not_found');
        expect((await who.send('DELETE', `/webhook-sources/${id}`)).body.code).toBe('not_found');
        expect(JSON.stringify((await who.get('/webhook-sources')).body)).not.toContain(id);
      }
      const narrow = client(booted.origin, as({ id: 'bob', scopes: ['documents:read'] }));
      const wide = await issue({ scopes: ['documents:write'] });
      expect((await narrow.send('DELETE', `/webhook-sources/${wide.id}`)).body.code).toBe(
        'limited_credential',
      );
      expect((await narrow.post('/webhook-sources', { name: 'x', scopes: ['documents:write'] })).status).toBe(
        403,
      );
      expect(await row(id)).toEqual(before);
      expectAccepted(await deliver(id, attempt(secret)));
    });

    it('stores secrets encrypted for their row', async () => {
      const [mine, other] = [await issue(), await issue()];
      await bob().post(`/webhook-sources/${mine.id}/rotate`);
      const dump = JSON.stringify(await booted.db.query('SELECT * FROM webhook_sources'));
      expect(dump).toContain(mine.id);
      for (const { secret } of [mine, other, DEMO_SOURCE]) expect(dump).not.toContain(secret.slice(6));
      await update(other.id, { secret: (await row(mine.id)).secret });
      expect((await deliver(other.id, attempt(mine.secret))).status).toBe(500);
      expect(await processed(other.id)).toBe(0);
    });

    it('never throws, and signs no two attempts or requests alike', () => {
      const key = parseSecret(newSecret())!;
      const runs = { numRuns: 10_000 };
      const text = fc.string({ unit: 'binary', maxLength: 300 });
      fc.assert(
        fc.property(fc.option(text, { nil: undefined }), text, text, (id, timestamp, signature) => {
          const parsed = parseHeaders(id, timestamp, signature);
          if (!parsed) return;
          expect(String(parsed.timestamp)).toBe(timestamp);
          expect(isSignedBy([key], { ...parsed, id: id!, body: Buffer.from('x') }, parsed.signatures)).toBe(
            false,
          );
        }),
        runs,
      );
      // Few characters, so that parts of two attempts are often equal.
      const part = fc.string({ unit: fc.constantFrom('1', '2', '-'), minLength: 1, maxLength: 4 });
      const some = fc.record({
        id: part,
        timestamp: fc.integer({ min: 1, max: 30 }),
        body: fc.string({ unit: fc.constantFrom('1', '2', '.'), maxLength: 6 }),
      });
      const signed = ({ id, timestamp, body }: { id: string; timestamp: number; body: string }) =>
        sign(key, { id, timestamp, body: Buffer.from(body) });
      fc.assert(
        fc.property(some, some, (one, other) => {
          const same = one.id === other.id && one.timestamp === other.timestamp && one.body === other.body;
          expect(signed(one) === signed(other)).toBe(same);
        }),
        runs,
      );
      const request = fc.tuple(
        fc.constantFrom('GET', 'GE', 'POST'),
        fc.string({ unit: fc.constantFrom('/', 'T', '?', 'a') }).map((rest) => `/${rest}`),
      );
      fc.assert(
        fc.property(request, request, (one, other) => {
          const same = one[0] === other[0] && one[1] === other[1];
          expect(isRequestIdFor(newRequestId(...one), ...other)).toBe(same);
        }),
        runs,
      );
    });

    describe('on two servers at once', () => {
      let processes: Processes;
      beforeAll(async () => (processes = await startProcesses(2)));
      afterAll(() => processes.stop());
      const use = async (origin: string, headers: Record<string, string>) =>
        await client(origin).send('POST', `/webhooks/${DEMO_SOURCE.source}`, { body: BODY, headers });

      it('accepts one of many copies of an attempt', async () => {
        const unfair = await race({
          origins: processes.origins,
          parallel: 6,
          make: async () => attempt(DEMO_SOURCE.secret),
          use: async (origin, headers) => (await use(origin, headers)).status === 200,
        });
        expect(unfair).toEqual([]);
      }, 300_000);

      it('accepts all attempts of one message, and processes it once', async () => {
        const unfair = await race({
          origins: processes.origins,
          parallel: 6,
          make: async () => ({ id: newMessageId(), at: now() }),
          use: async (origin, message) => {
            const timestamp = String(message.at--);
            const headers = attempt(DEMO_SOURCE.secret, { id: message.id, timestamp });
            const { status, body } = await use(origin, headers);
            expect(status).toBe(200);
            return !body.duplicate;
          },
        });
        expect(unfair).toEqual([]);
      }, 300_000);
    });
  });
});
