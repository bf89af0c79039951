import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Settings } from '../../src/config/settings.js';
import { ReplayStore, UsedValue } from '../../src/crypto/replay-store.service.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { withHmac } from '../../src/methods/hmac/hmac.client.js';
import { DEMO_KEY } from '../../src/methods/hmac/hmac.demo.js';
import { HmacKey } from '../../src/methods/hmac/hmac.entity.js';
import {
  formatAuthorization,
  sign,
  newKeyId,
  stringToSign,
  type SignedRequest,
} from '../../src/methods/hmac/hmac.js';
import { CredentialsService } from '../../src/users/credentials.service.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { contract } from './hmac.contract.js';

satisfiesTheContract(contract);

const AUDIENCE = 'https://api.atlas.test';
const DEMO = '/demo/hmac';
const JSON_TYPE = ['content-type', 'application/json'] as const;
const now = (seconds = 0) => (Math.floor(Date.now() / 1000) + seconds).toString();
const newNonce = () => randomBytes(16).toString('base64url');

interface Key {
  readonly id: string;
  readonly secret: string;
}

/** The Authorization header that the client creates, with changes. */
function credential({ secret = DEMO_KEY.secret, ...changes }: Partial<SignedRequest & Key> = {}): string {
  const signed: SignedRequest = {
    id: DEMO_KEY.id,
    timestamp: now(),
    nonce: newNonce(),
    audience: AUDIENCE,
    method: 'GET',
    authority: 'localhost',
    target: DEMO,
    fields: [],
    ...changes,
  };
  const headers = signed.fields.map(([name]) => name);
  return formatAuthorization({ ...signed, headers, signature: sign(secret, stringToSign(signed)) });
}

describe('hmac', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { PUBLIC_URL: AUDIENCE } })));
  afterAll(() => booted.close());

  /** bob, signed in by another method, without limits. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const issue = async (body: object = {}, who = bob()) => {
    const response = await who.post('/hmac-keys', { name: 'test', ...body });
    expect(response.status).toBe(201);
    return response.body as Key;
  };
  /** Sends a request signed with a key. */
  const by = async (key: Key, path = DEMO, init?: RequestInit) => {
    const sign = withHmac({ ...key, audience: AUDIENCE });
    const response = await fetch(await sign(new Request(booted.origin + path, init)));
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  };
  const isAccepted = async (key: Key) => (await by(key)).status === 200;
  const row = (id: string) => booted.db.manager.findOneByOrFail(HmacKey, { id });
  const update = (id: string, changes: Partial<HmacKey>) =>
    booted.db.manager.update(HmacKey, { id }, changes);

  /** Sends the bytes of a request. Returns the status, the code or the id of the caller, and the challenge. */
  const send = async (
    authorization: string,
    start = `GET ${DEMO}`,
    lines: readonly string[] = [],
    body = '',
  ) => {
    const { raw } = client(booted.origin);
    const host = lines.some((line) => line.startsWith('Host:')) ? [] : ['Host: localhost'];
    const header = [`Authorization: ${authorization}`, 'Connection: close', ...host, ...lines];
    const response = await raw(`${start} HTTP/1.1`, ...header, '', body);
    return {
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(response)?.[1]),
      codeOrId: /"(?:code|id)":"([^"]*)"/.exec(response)?.[1],
      challenge: /^www-authenticate: (.*)\r$/im.exec(response)?.[1],
    };
  };
  const accepted = expect.objectContaining({ status: 200, codeOrId: 'acme-machine' }) as unknown;
  const rejected = {
    status: 401,
    codeOrId: 'invalid_hmac',
    challenge: `HMAC-SHA256 realm="auth-atlas", audience="${AUDIENCE}", error="invalid_hmac"`,
  };

  it('returns the secret once, when the key is issued', async () => {
    const { body } = await bob().post('/hmac-keys', { name: 'import', scopes: ['documents:read'] });
    expect(body).toMatchObject({ name: 'import', scopes: ['documents:read'], expiresAt: null });
    expect(await by(body)).toMatchObject({ status: 200, body: { id: 'bob', scopes: ['documents:read'] } });
    const list = await bob().get('/hmac-keys');
    expect(list.body.items).toContainEqual(expect.objectContaining({ id: body.id, name: 'import' }));
    expect(JSON.stringify(list.body)).not.toContain('atlas_hmac_');
  });

  it('accepts signed requests with a query, a body, Content-Type and If-Match', async () => {
    const key = await issue();
    expect((await by(key, '/documents?status=draft&limit=1&sort=title')).status).toBe(200);
    const headers = { 'Content-Type': 'application/json' };
    const made = await by(key, '/documents', { method: 'POST', headers, body: '{"title":"signed"}' });
    expect(made).toMatchObject({ status: 201, body: { title: 'signed', ownerId: 'bob' } });
    const changed = await by(key, `/documents/${made.body.id}`, {
      method: 'PATCH',
      headers: { ...headers, 'If-Match': '"1"' },
      body: '{"title":"sïgned"}',
    });
    expect(changed).toMatchObject({ status: 200, body: { title: 'sïgned' } });
    expect((await by({ ...key, secret: 'another' })).body.code).toBe('invalid_hmac');
  });

  it('accepts additional signed headers, and rejects changed or absent ones', async () => {
    const signed = () =>
      credential({
        fields: [
          ['x-purpose', 'nightly: run'],
          ['host', 'localhost'],
        ],
      });
    expect(await send(signed(), undefined, ['X-Purpose:   nightly: run '])).toEqual(accepted);
    expect(await send(signed(), undefined, ['X-Purpose: nightly:run'])).toEqual(rejected);
    expect(await send(signed())).toEqual(rejected);
    // An absent header differs from an empty one.
    expect(await send(credential({ fields: [['x-purpose', '']] }))).toEqual(rejected);
    expect(await send(credential({ fields: [['x-purpose', '']] }), undefined, ['X-Purpose:'])).toEqual(
      accepted,
    );
    expect(await send(signed(), undefined, ['X-Purpose: nightly', 'X-Purpose: run'])).toMatchObject({
      status: 400,
      codeOrId: 'duplicate_header',
    });
  });

  it('accepts a clock skew of up to five minutes', async () => {
    for (const timestamp of [now(-290), now(290)])
      expect(await send(credential({ timestamp }))).toEqual(accepted);
    for (const timestamp of [now(-310), now(310), '0000000000', '9999999999'])
      expect(await send(credential({ timestamp }))).toEqual(rejected);
  });

  it('stores when the key was last used', async () => {
    const key = await issue();
    await by(key);
    await booted.app.get(LastUsed).flush();
    expect((await row(key.id)).lastUsedAt).toBeInstanceOf(Date);
  });

  it('records issue, rotation and revocation in the audit log', async () => {
    const { id } = await issue();
    await bob().post(`/hmac-keys/${id}/rotate`);
    expect((await bob().send('DELETE', `/hmac-keys/${id}`)).status).toBe(204);
    const events = await booted.db.manager.find(AuditEvent, {
      where: { target: `hmac-key:${id}` },
      order: { seq: 'ASC' },
    });
    expect(events.map(({ event, userId, details }) => [event, userId, details])).toEqual([
      ['authn_token_created', 'bob', {}],
      ['authn_token_created', 'bob', { rotated: true }],
      ['authn_token_revoked', 'bob', {}],
    ]);
  });

  describe('the shell client on the page', () => {
    const [, client = ''] = /^```sh\n(hmac\(\) \{\n[\s\S]*?\n\})\n```/m.exec(
      readFileSync('docs/methods/hmac.md', 'utf8'),
    )!;
    const shell = async ({ id, secret }: Key, ...args: readonly string[]) => {
      const env = { PATH: process.env['PATH'], audience: AUDIENCE, key_id: id, key_secret: secret };
      const script = ['-euo', 'pipefail', '-c', `${client}\nhmac "$@"`, 'hmac', ...args];
      return JSON.parse((await promisify(execFile)('bash', script, { env })).stdout);
    };

    it('signs queries and bodies of any bytes', async () => {
      const { origin } = booted;
      expect(await shell(DEMO_KEY, 'GET', origin + DEMO)).toMatchObject({ id: 'acme-machine' });
      const query = '?limit=1&sort=-title&status=draft';
      expect(await shell(DEMO_KEY, 'GET', `${origin}/documents${query}`)).toHaveProperty('items');
      for (const title of ['plain', 'zwölf €', `a\\n"b`, "%41 $(id) `id` 'x'", '@/etc/passwd'])
        expect(
          await shell(DEMO_KEY, 'POST', `${origin}/documents`, JSON.stringify({ title }, null, 2)),
        ).toMatchObject({ title });
    });

    it('is rejected with the secret of another key', async () => {
      const { secret } = await issue();
      const response = await shell({ ...DEMO_KEY, secret }, 'GET', booted.origin + DEMO);
      expect(response).toMatchObject({ status: 401, code: 'invalid_hmac' });
    });
  });

  describe('attacks', () => {
    it('rejects a replay, in any spelling', async () => {
      const target = `${DEMO}?a=1&b=~`;
      const sent = credential({ target });
      expect(await send(sent, `GET ${target}`)).toEqual(accepted);
      expect(await send(sent, `GET ${target}`)).toEqual(rejected);
      expect(await send(sent, `GET ${DEMO}?a=1&b=%7e`)).toEqual(rejected);
      expect(await send(sent.replace('HMAC', 'hmac'), `GET ${target}`)).toEqual(rejected);
    });

    it('accepts a request once that is sent to two processes at the same time', async () => {
      const processes = await startProcesses(2);
      const audience = processes.app.get(Settings).publicUrl;
      const use = async (origin: string, authorization: string) => {
        const lines = ['Host: localhost', 'Connection: close', `Authorization: ${authorization}`, ''];
        return (await client(origin).raw(`GET ${DEMO} HTTP/1.1`, ...lines)).startsWith('HTTP/1.1 200 ');
      };
      const make = () => Promise.resolve(credential({ audience }));
      try {
        expect(await race({ origins: processes.origins, rounds: 50, parallel: 10, make, use })).toEqual([]);
      } finally {
        await processes.stop();
      }
    });

    it('remembers a nonce for twice the clock skew, and then deletes it', async () => {
      await booted.db.manager.clear(UsedValue);
      const timestamp = now(200);
      expect(await send(credential({ timestamp }))).toEqual(accepted);
      const [used] = await booted.db.manager.find(UsedValue);
      expect(`${used!.until}`).toBe(`${Number(timestamp) + 600}`);
      await booted.app.get(ReplayStore).cleanUp();
      expect(await booted.db.manager.count(UsedValue)).toBe(1);
      await booted.db.manager.update(UsedValue, { digest: used!.digest }, { until: Number(now(-2)) });
      await booted.app.get(ReplayStore).cleanUp();
      expect(await booted.db.manager.count(UsedValue)).toBe(0);
    });

    it('responds 503 while nonces cannot be stored', async () => {
      const sent = credential();
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const response = await send(sent);
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expect(response).toMatchObject({ status: 503, codeOrId: 'service_unavailable' });
      expect(await send(sent)).toEqual(accepted);
    });

    it('keeps nonces per key, and stores them only after a valid signature', async () => {
      const [key, nonce] = [await issue(), newNonce()];
      expect(await send(credential({ ...key, nonce }))).toMatchObject({ status: 200, codeOrId: 'bob' });
      expect(await send(credential({ nonce, secret: key.secret }))).toEqual(rejected);
      expect(await send(credential({ nonce }))).toEqual(accepted);
      const disabled = await issue({}, client(booted.origin, as({ id: 'dave', roles: ['auditor'] })));
      const again = credential({ ...disabled, nonce });
      for (const disabledAt of [new Date(), null]) {
        await booted.db.manager.update(User, { id: 'dave' }, { disabledAt });
        expect((await send(again)).status).toBe(disabledAt ? 401 : 200);
      }
    });

    it('rejects a body that differs in one byte or has another Content-Type', async () => {
      const body = '{"title":"tampered"}';
      const post = (sent: string, type = 'application/json') =>
        send(
          credential({ method: 'POST', target: '/documents', body: Buffer.from(body), fields: [JSON_TYPE] }),
          'POST /documents',
          [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(sent)}`],
          sent,
        );
      for (const changed of [
        '{"title":"Tampered"}',
        `${body}\n`,
        '{"title": "tampered"}',
        '{"title":"\\u0074ampered"}',
        '{"title":"tampered","notes":"x"}',
        '',
      ])
        expect([changed, await post(changed)]).toEqual([changed, rejected]);
      expect(await post(body, 'application/json; charset=utf-8')).toEqual(rejected);
      const machines = async () =>
        (await by(DEMO_KEY, '/documents?limit=100')).body.items as { title: string }[];
      const made = async () => (await machines()).filter(({ title }) => /tampered/i.test(title)).length;
      expect(await made()).toBe(0);
      expect((await post(body)).status).toBe(201);
      expect(await made()).toBe(1);
    });

    it('treats a missing body, a length of 0 and an empty chunk alike', async () => {
      const typed = () => credential({ method: 'GET', fields: [JSON_TYPE] });
      const type = 'Content-Type: application/json';
      expect(await send(credential())).toEqual(accepted);
      expect(await send(credential(), undefined, ['Content-Length: 0'])).toEqual(accepted);
      expect(await send(typed(), undefined, [type])).toEqual(accepted);
      expect(await send(typed(), undefined, [type, 'Content-Length: 0'])).toEqual(accepted);
      expect(await send(typed(), undefined, [type, 'Transfer-Encoding: chunked'], '0\r\n\r\n')).toEqual(
        accepted,
      );
      // A body that was added to a request without one is rejected.
      expect(await send(typed(), undefined, [type, 'Content-Length: 2'], '{}')).toEqual(rejected);
      expect(await send(credential(), undefined, [type, 'Content-Length: 2'], '{}')).toEqual(rejected);
    });

    it('verifies the bytes of a chunked body, without extensions and trailers', async () => {
      const body = Buffer.from('{"title":"chunked"}');
      const post = (chunks: readonly string[], trailers: readonly string[] = []) =>
        send(
          credential({ method: 'POST', target: '/documents', body, fields: [JSON_TYPE] }),
          'POST /documents',
          ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
          [...chunks, '0', ...trailers, '', ''].join('\r\n'),
        );
      expect((await post(['13', '{"title":"chunked"}'])).status).toBe(201);
      expect((await post(['1', '{', '12', '"title":"chunked"}'])).status).toBe(201);
      expect((await post(['13;a=b', '{"title":"chunked"}'])).status).toBe(201);
      const trailers = ['Content-Type: text/plain', 'Authorization: HMAC-SHA256 x', 'If-Match: *'];
      expect((await post(['13', '{"title":"chunked"}'], trailers)).status).toBe(201);
      expect(await post(['13', '{"title":"chUnked"}'])).toEqual(rejected);
    });

    it('rejects another method, and ignores method override headers', async () => {
      const { id, secret } = await issue();
      const target = `/hmac-keys/${id}`;
      expect(await send(credential({ id, secret, target }), `DELETE ${target}`)).toEqual(rejected);
      expect((await send(credential({ id, secret }), `HEAD ${DEMO}`)).status).toBe(401);
      expect(await send(credential(), `GET ${DEMO}?_method=DELETE`)).toEqual(rejected);
      const override = [
        'X-HTTP-Method-Override: DELETE',
        'X-HTTP-Method: DELETE',
        'X-Method-Override: DELETE',
      ];
      expect(await send(credential({ id, secret, target }), `GET ${target}`, override)).toMatchObject({
        status: 405,
      });
      expect(await isAccepted({ id, secret })).toBe(true);
    });

    it('accepts the signed query in another encoding, and rejects any other query', async () => {
      const same = [
        ['a=%7E', 'a=~'],
        ['a=%7E', 'a=%7e'],
        ['a=%C3%A9', 'a=%c3%a9'],
        ['a[]=1&a[]=2', 'a%5B%5D=1&a%5b%5d=2'],
        ['a=/?:', 'a=%2F%3F%3A'],
      ];
      const different = [
        ['a=1&b=2', 'b=2&a=1'],
        ['a=1&a=2', 'a=2&a=1'],
        ['a=1&a=2', 'a=1'],
        ['a=1', 'a=1&a=1'],
        ['a=', 'a'],
        ['a', 'a&'],
        ['', 'a'],
        ['a=b=c', 'a=b%3Dc'],
        ['a=b&c=d', 'a=b%26c=d'],
        ['a=1+2', 'a=1%202'],
        ['a=1+2', 'a=1%2B2'],
        ['a=1%202', 'a=1%2B2'],
        ['a[]=1', 'a=1'],
        ['a=%25%34%31', 'a=A'],
        ['a=1;b=2', 'a=1&b=2'],
      ];
      const sendTo = ([signed, sent]: string[]) =>
        send(credential({ target: `${DEMO}?${signed}` }), `GET ${DEMO}?${sent}`);
      for (const pair of same) expect([pair, await sendTo(pair)]).toEqual([pair, accepted]);
      for (const pair of different) expect([pair, await sendTo(pair)]).toEqual([pair, rejected]);
      expect(await send(credential(), `GET ${DEMO}?`)).toEqual(rejected);
      for (const bytes of ['%FF', '%C3', '%', '%zz', '%00'])
        expect(await sendTo([`a=${bytes}`, `a=${bytes}`])).toMatchObject({
          status: 400,
          codeOrId: 'invalid_target',
        });
    });

    it('rejects another path, and another spelling of the path', async () => {
      expect(await send(credential(), 'GET /me')).toEqual(rejected);
      expect(await send(credential(), 'GET /me?/demo/hmac')).toEqual(rejected);
      expect(await send(credential(), 'GET /demo/%68mac')).toMatchObject({
        status: 400,
        codeOrId: 'invalid_target',
      });
      for (const path of ['/demo//hmac', '/demo/hmac/', '/demo/HMAC', '/demo/./hmac'])
        expect([path, (await send(credential(), `GET ${path}`)).status]).toEqual([path, 404]);
    });

    it('rejects an unsigned Content-Type or If-Match', async () => {
      for (const [line, field] of [
        ['Content-Type: application/json', JSON_TYPE],
        ['If-Match: "1"', ['if-match', '"1"']],
      ] as const) {
        expect(await send(credential(), undefined, [line])).toEqual(rejected);
        const signed = credential({ fields: [field] });
        expect(await send(signed.replace(`headers="${field[0]}"`, 'headers=""'), undefined, [line])).toEqual(
          rejected,
        );
        expect(await send(signed)).toEqual(rejected);
        expect(await send(signed, undefined, [line])).toEqual(accepted);
      }
      // The timestamp is always signed. The list of headers cannot exclude it.
      const sent = credential();
      const [, timestamp = ''] = /timestamp="(\d+)"/.exec(sent)!;
      expect(await send(sent.replace(timestamp, `${Number(timestamp) + 1}`))).toEqual(rejected);
    });

    it('rejects parts of another signed request', async () => {
      const [one, other] = [credential(), credential({ nonce: newNonce(), timestamp: now(-1) })];
      const part = (name: string, text: string) => new RegExp(`${name}="[^"]*"`).exec(text)![0];
      for (const name of ['timestamp', 'nonce', 'signature'])
        expect(await send(one.replace(part(name, one), part(name, other)))).toEqual(rejected);
      const { id } = await issue();
      expect(await send(one.replace(DEMO_KEY.id, id))).toEqual(rejected);
      for (const names of ['constructor', 'authorization', 'x-absent', 'tostring'])
        expect(await send(one.replace('headers=""', `headers="${names}"`))).toEqual(rejected);
      expect(await send(one)).toEqual(accepted);
    });

    it('rejects a truncated, longer or differently encoded signature', async () => {
      const sent = credential();
      const [, right = ''] = /signature="(\w+)"/.exec(sent)!;
      for (const wrong of [
        '',
        right.slice(0, 2),
        right.slice(0, 62),
        right.slice(0, 63),
        `${right}0`,
        right + right,
        right.toUpperCase(),
        Buffer.from(right, 'hex').toString('base64'),
        Buffer.from(right).toString('base64'),
        `0x${right.slice(2)}`,
        `${right.slice(0, 63)}g`,
        '0'.repeat(64),
        'f'.repeat(8_000),
      ])
        expect([wrong, await send(sent.replace(right, wrong))]).toEqual([wrong, rejected]);
      expect(await send(sent)).toEqual(accepted);
    });

    it('rejects an ambiguous or malformed Authorization header', async () => {
      const sent = credential();
      for (const text of [
        sent.replace(', nonce', ', nonce="aaaaaaaaaaaaaaaa", nonce'),
        sent.replace('id=', 'x="1", id='),
        sent.replace(/(timestamp="\d+"), (nonce="[^"]+")/, '$2, $1'),
        sent.replace(/timestamp="(\d+)"/, 'timestamp=$1'),
        sent.replace(/timestamp="(\d+)"/, 'timestamp="+$1"'),
        sent.replace(/timestamp="(\d+)"/, 'timestamp="$1.0"'),
        sent.replace('nonce=', 'Nonce='),
        sent.replace('nonce="', 'nonce="\\'),
        sent.replace(', nonce', ',nonce'),
        sent.replace('HMAC-SHA256 ', 'HMAC-SHA256  '),
        sent.replace('HMAC-SHA256 ', 'HMAC-SHA256\t'),
        `${sent},`,
        `${sent}, x="1"`,
        sent.replace(/"/g, "'"),
      ])
        expect([text, await send(text)]).toEqual([text, rejected]);
      // Correctly signed, but malformed.
      for (const timestamp of ['', 'NaN', ' ', `${now()}.0`, `+${now()}`, `0${now()}`, 'Infinity'])
        expect([timestamp, await send(credential({ timestamp }))]).toEqual([timestamp, rejected]);
      for (const nonce of ['', 'fifteen-letters', 'a'.repeat(65), `${newNonce()} `, `${newNonce()}%41`])
        expect([nonce, await send(credential({ nonce }))]).toEqual([nonce, rejected]);
      expect(await send(sent)).toEqual(accepted);
    });

    it('responds to an unknown key as to a wrong signature', async () => {
      const unknown = await send(credential({ id: newKeyId() }));
      expect(await send(credential({ secret: 'wrong' }))).toEqual(unknown);
      expect(unknown).toEqual(rejected);
    });

    it('rejects a request for another host', async () => {
      expect(await send(credential(), undefined, ['Host: other.test'])).toEqual(rejected);
      expect(await send(credential({ authority: 'localhost:80' }))).toEqual(rejected);
      const production = await boot({
        env: { NODE_ENV: 'production', PUBLIC_URL: AUDIENCE, APP_SECRET: randomBytes(32).toString('hex') },
      });
      await production.db.manager.insert(Tenant, { id: 'acme', name: 'Acme' });
      const account = {
        id: 'bob',
        tenantId: 'acme',
        username: 'bob',
        kind: 'user',
        roles: ['editor'],
      } as const;
      await production.db.manager.insert(User, { ...account, roles: ['editor'], disabledAt: null, epoch: 0 });
      const { sign } = await contract.issue(production, 'bob');
      const sendTo = async (authority: string) => {
        const { headers } = await sign(new Request(`https://${authority}${DEMO}`));
        const lines = [
          `Host: ${authority}`,
          `Authorization: ${headers.get('Authorization')}`,
          'Connection: close',
          '',
        ];
        return (await client(production.origin).raw(`GET ${DEMO} HTTP/1.1`, ...lines)).slice(9, 12);
      };
      expect([await sendTo('api.atlas.test'), await sendTo('evil.test')]).toEqual(['200', '401']);
      await production.close();
    });

    it('rejects a request for the audience of another server', async () => {
      expect(booted.app.get(Settings).publicUrl).toBe(AUDIENCE);
      for (const audience of ['https://staging.atlas.test', 'http://api.atlas.test', `${AUDIENCE}/`, ''])
        expect(await send(credential({ audience }))).toEqual(rejected);
    });

    it('accepts two secrets during the overlap of a rotation, and never three', async () => {
      const first = await issue();
      const second = (await bob().post(`/hmac-keys/${first.id}/rotate`)).body as Key;
      expect(second.id).toBe(first.id);
      expect([await isAccepted(first), await isAccepted(second)]).toEqual([true, true]);
      const nonce = newNonce();
      expect((await send(credential({ ...first, nonce }))).status).toBe(200);
      expect(await send(credential({ ...second, nonce }))).toEqual(rejected);
      await update(first.id, { previousUntil: new Date() });
      expect([await isAccepted(first), await isAccepted(second)]).toEqual([false, true]);
      const third = (await bob().post(`/hmac-keys/${first.id}/rotate`)).body as Key;
      const fourth = (await bob().post(`/hmac-keys/${first.id}/rotate`, { overlapSeconds: 0 })).body as Key;
      expect(await Promise.all([first, second, third, fourth].map(isAccepted))).toEqual([
        false,
        false,
        false,
        true,
      ]);
    });

    it('rejects a rotation if the key was rotated or revoked concurrently', async () => {
      for (const changes of [{ sealed: 'another' }, { revokedAt: new Date() }]) {
        const { id } = await issue();
        const before = await row(id);
        const spy = jest.spyOn(CredentialsService.prototype, 'find').mockImplementationOnce(async () => {
          await update(id, changes);
          return before;
        });
        const { status, body } = await bob().post(`/hmac-keys/${id}/rotate`);
        spy.mockRestore();
        expect([status, body.code]).toEqual([409, 'concurrent_rotation']);
        expect(await row(id)).toEqual({ ...before, ...changes });
      }
    });

    it('stores secrets encrypted for their row, and never returns them', async () => {
      const [key, other] = [await issue(), await issue()];
      const dump = JSON.stringify(await booted.db.query('SELECT * FROM hmac_keys'));
      expect(dump).toContain(key.id);
      expect(dump).not.toContain('atlas_hmac_');
      expect((await by(key, `/hmac-keys/${key.id}`)).status).toBe(405);
      await update(other.id, { sealed: (await row(key.id)).sealed });
      expect((await by({ id: other.id, secret: key.secret })).status).toBe(500);
    });

    it('lets a key rotate and revoke itself, and its replaced secret nothing', async () => {
      const key = await issue();
      const other = await issue();
      const rotate = (signer: Key, id = key.id) => by(signer, `/hmac-keys/${id}/rotate`, { method: 'POST' });
      const rejected = { status: 403, body: { code: 'limited_credential' } };
      expect(await rotate(key, other.id)).toMatchObject(rejected);
      const renewed = (await rotate(key)).body as Key;
      const before = await row(key.id);
      expect((await by(key, '/me')).status).toBe(200);
      expect(await rotate(key)).toMatchObject(rejected);
      expect(await by(key, `/hmac-keys/${key.id}`, { method: 'DELETE' })).toMatchObject(rejected);
      expect(await row(key.id)).toMatchObject({ sealed: before.sealed, revokedAt: null });
      expect((await by(renewed, `/hmac-keys/${key.id}`, { method: 'DELETE' })).status).toBe(204);
      expect((await row(other.id)).revokedAt).toBeNull();
    });

    it("hides another account's key from list, rotation and revocation", async () => {
      const key = await issue();
      const before = await row(key.id);
      const mallory = client(booted.origin, as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }));
      expect((await mallory.post(`/hmac-keys/${key.id}/rotate`)).body.code).toBe('not_found');
      expect((await mallory.send('DELETE', `/hmac-keys/${key.id}`)).body.code).toBe('not_found');
      expect(JSON.stringify((await mallory.get('/hmac-keys')).body)).not.toContain(key.id);
      expect(await row(key.id)).toEqual(before);
    });
  });
});
