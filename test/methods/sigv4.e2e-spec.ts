import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { UsedValue } from '../../src/crypto/replay-store.service.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { Document } from '../../src/documents/document.entity.js';
import { presign, withSigV4, type SigV4Credentials } from '../../src/methods/sigv4/sigv4.client.js';
import { DEMO_KEY } from '../../src/methods/sigv4/sigv4.demo.js';
import { AccessKey } from '../../src/methods/sigv4/sigv4.entity.js';
import { SigV4Module } from '../../src/methods/sigv4/sigv4.module.js';
import {
  newKeyId,
  newSecret,
  formatCredentialScope,
  sha256,
  sign,
  stringToSign,
  formatTime,
} from '../../src/methods/sigv4/sigv4.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { CredentialsService } from '../../src/users/credentials.service.js';
import { RANDOM_SECRET, as, boot, client, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './sigv4.contract.js';
import { forge, type Message } from './sigv4.forge.js';
import { curl, presignWithSmithy, signWithAws4, signWithSmithy } from './sigv4.signers.js';

satisfiesTheContract(contract);

const CHALLENGE =
  'AWS4-HMAC-SHA256 realm="auth-atlas", region="atlas-1", service="auth-atlas", error="invalid_sigv4"';
const JSON_TYPE = { 'content-type': 'application/json' };
const DEMO = '/demo/sigv4';

describe('sigv4', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  /** bob, signed in by another method, without limits. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const issue = async (body: object = {}, who = bob()): Promise<SigV4Credentials> => {
    const response = await who.post('/access-keys', { name: 'test', ...body });
    expect(response.status).toBe(201);
    return response.body as SigV4Credentials;
  };
  const row = (id: string) => booted.db.manager.findOneByOrFail(AccessKey, { id });
  const update = (id: string, changes: Partial<AccessKey>) =>
    booted.db.manager.update(AccessKey, { id }, changes);
  const documents = () => booted.db.manager.count(Document);

  const send = async ({ method = 'GET', target = DEMO, headers = {}, body }: Message) => {
    const response = await fetch(booted.origin + target, {
      method,
      headers,
      ...(body !== undefined && { body }),
    });
    const challenge = response.headers.get('www-authenticate');
    return { status: response.status, challenge, body: await response.json() };
  };
  const sendWith = async (key: SigV4Credentials, path: string, init?: RequestInit) =>
    fetch(await withSigV4(key)(new Request(booted.origin + path, init)));
  const isAccepted = async (key: SigV4Credentials) => (await sendWith(key, DEMO)).status === 200;
  const expectRejected = async (message: Message) => {
    const { status, challenge, body } = await send(message);
    expect({ message, status, code: body.code, challenge }).toEqual({
      message,
      status: 401,
      code: 'invalid_sigv4',
      challenge: CHALLENGE,
    });
  };

  let signed: ReturnType<typeof forge>['signed'];
  let presigned: ReturnType<typeof forge>['presigned'];
  beforeAll(() => void ({ signed, presigned } = forge(booted.origin, DEMO)));
  const minutes = (count: number) => new Date(Date.now() + count * 60_000);

  describe('an access key', () => {
    it('returns the secret once, and is limited to its scopes', async () => {
      const response = await bob().post('/access-keys', { name: 'sync', scopes: ['documents:read'] });
      const { secret, ...key } = response.body;
      expect(key).toMatchObject({ name: 'sync', scopes: ['documents:read'], expiresAt: null });
      expect([key.id, secret]).toEqual([
        expect.stringMatching(/^ATLA[A-Z2-7]{16}$/),
        expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
      ]);
      const listed = await bob().get('/access-keys');
      expect(listed.body.items).toContainEqual(key);
      expect(JSON.stringify(listed.body)).not.toContain(secret);
      const title = { method: 'POST', headers: JSON_TYPE, body: '{"title":"x"}' };
      expect((await sendWith(response.body, '/documents')).status).toBe(200);
      expect((await sendWith(response.body, '/documents', title)).status).toBe(403);
      expect((await sendWith(await issue(), '/documents', title)).status).toBe(201);
    });

    it('stores when it was last used', async () => {
      const key = await issue();
      await isAccepted(key);
      await booted.app.get(LastUsed).flush();
      expect((await row(key.id)).lastUsedAt).toBeInstanceOf(Date);
    });

    it('accepts two secrets during the overlap of a rotation, and never three', async () => {
      const first = await issue();
      const rotate = async (body?: object) =>
        (await bob().post(`/access-keys/${first.id}/rotate`, body)).body as SigV4Credentials;
      const second = await rotate();
      expect([second.id, await isAccepted(first), await isAccepted(second)]).toEqual([first.id, true, true]);
      const third = await rotate();
      expect(await Promise.all([first, second, third].map(isAccepted))).toEqual([false, true, true]);
      await update(first.id, { previousUntil: new Date() });
      expect(await Promise.all([second, third].map(isAccepted))).toEqual([false, true]);
      const last = await rotate({ overlapSeconds: 0 });
      expect(await Promise.all([third, last].map(isAccepted))).toEqual([false, true]);
    });

    it('is not rotated if it was rotated or revoked concurrently', async () => {
      for (const changes of [{ sealed: 'another' }, { revokedAt: new Date() }]) {
        const { id } = await issue();
        const before = await row(id);
        const spy = jest.spyOn(CredentialsService.prototype, 'find').mockImplementationOnce(async () => {
          await update(id, changes);
          return before;
        });
        const { status, body } = await bob().post(`/access-keys/${id}/rotate`);
        spy.mockRestore();
        expect([status, body.code]).toEqual([409, 'concurrent_rotation']);
        expect(await row(id)).toMatchObject({ ...changes, previousSealed: null });
      }
    });

    it('records issue, rotation and revocation in the audit log', async () => {
      const { id } = await issue();
      await bob().post(`/access-keys/${id}/rotate`);
      expect((await bob().send('DELETE', `/access-keys/${id}`)).status).toBe(204);
      expect((await bob().send('DELETE', `/access-keys/${id}`)).status).toBe(404);
      const where = { target: `access-key:${id}` };
      const events = await booted.db.manager.find(AuditEvent, { where, order: { seq: 'ASC' } });
      expect(events.map(({ event, userId, details }) => [event, userId, details])).toEqual([
        ['authn_token_created', 'bob', {}],
        ['authn_token_created', 'bob', { rotated: true }],
        ['authn_token_revoked', 'bob', {}],
      ]);
    });
  });

  describe('common signers are accepted:', () => {
    const withQuery = `${DEMO}?b=2&a=1&c=x%20y%2Bz&a.b=%C3%A9`;
    const spaced = '/documents/no%20such%20document';
    const drafts = () => ({ method: 'POST', headers: JSON_TYPE, body: `{"title":"é ${newKeyId()}"}` });

    it('the AWS SDK in a header, with and without the hash of the body', async () => {
      for (const applyChecksum of [true, false]) {
        for (const target of [DEMO, withQuery, spaced]) {
          const headers = await signWithSmithy(
            DEMO_KEY,
            booted.origin + target,
            { method: 'GET' },
            { applyChecksum },
          );
          expect('x-amz-content-sha256' in headers).toBe(applyChecksum);
          expect((await send({ target, headers })).status).toBe(target === spaced ? 404 : 200);
        }
        const draft = drafts();
        const headers = await signWithSmithy(DEMO_KEY, `${booted.origin}/documents`, draft, {
          applyChecksum,
        });
        expect((await send({ ...draft, target: '/documents', headers })).status).toBe(201);
      }
    });

    it('the AWS SDK in a URL', async () => {
      for (const target of [DEMO, withQuery, spaced]) {
        const url = await presignWithSmithy(DEMO_KEY, booted.origin + target, { method: 'GET' }, 60);
        expect((await send({ target: url.slice(booted.origin.length) })).status).toBe(
          target === spaced ? 404 : 200,
        );
      }
    });

    it('aws4 in a header and in a URL', async () => {
      for (const target of [DEMO, withQuery, spaced])
        for (const inQuery of [false, true]) {
          const address = new URL(booted.origin + target);
          if (inQuery) address.search += `${address.search && '&'}X-Amz-Expires=60`;
          const { url, headers } = signWithAws4(DEMO_KEY, address.href, { method: 'GET' }, inQuery);
          const response = await send({
            target: url.slice(booted.origin.length),
            ...(!inQuery && { headers }),
          });
          expect(response.status).toBe(target === spaced ? 404 : 200);
        }
      const draft = drafts();
      const { headers } = signWithAws4(DEMO_KEY, `${booted.origin}/documents`, draft);
      expect((await send({ ...draft, target: '/documents', headers })).status).toBe(201);
    });

    it('curl with headers, a body and a sorted query', async () => {
      const url = (path: string) => booted.origin + path;
      expect(await curl(DEMO_KEY, url(`${DEMO}?a=1&b=2`))).toMatch(/"id":"acme-machine".* 200$/);
      const json = ['-H', 'Content-Type: application/json', '-d'];
      const created = await curl(DEMO_KEY, url('/documents'), ...json, '{"title":"by curl"}');
      expect(created).toMatch(/ 201$/);
      const { id } = JSON.parse(created.replace(/ 201$/, '')) as { id: string };
      const patch = ['-X', 'PATCH', '-H', 'If-Match: "1"', ...json, '{"title":"again"}'];
      expect(await curl(DEMO_KEY, url(`/documents/${id}`), ...patch)).toMatch(/"title":"again".* 200$/);
    });

    it('the client of this method, with any path and query', async () => {
      for (const target of [withQuery, spaced, `${DEMO}?%F0%9F%98%80=*`]) {
        const expected = target === spaced ? 404 : 200;
        expect((await sendWith(DEMO_KEY, target)).status).toBe(expected);
        expect((await fetch(presign(DEMO_KEY, booted.origin + target))).status).toBe(expected);
      }
    });
  });

  describe('a presigned URL', () => {
    it('is accepted repeatedly until it expires', async () => {
      const url = presign(DEMO_KEY, `${booted.origin}/documents/bob-published-internal`, {
        expiresIn: 604_800,
      });
      for (let i = 0; i < 2; i++) expect((await fetch(url)).status).toBe(200);
      expect((await send(presigned({ at: minutes(-59), expires: '3600' }))).status).toBe(200);
    });

    it('is rejected for another method, path or query', async () => {
      const one = '/documents/bob-published-internal';
      const { target } = presigned({ target: `${one}?a=1` });
      expect((await send({ target })).status).toBe(200);
      await expectRejected({ target: target.replace('a=1', 'a=2') });
      await expectRejected({ target: target.replace(one, '/documents/bob-published-public') });
      await expectRejected({ target, method: 'DELETE' });
    });

    it('may contain the hash of its body, which must be correct', async () => {
      const empty = sha256('');
      for (const name of ['X-Amz-Content-Sha256', 'x-amz-content-sha256'])
        expect((await send(presigned({ more: [[name, empty]] }))).status).toBe(200);
      await expectRejected(presigned({ more: [['X-Amz-Content-Sha256', sha256('a')]] }));
    });

    it('is rejected by routes that reject unknown query parameters', async () => {
      const url = presign(DEMO_KEY, `${booted.origin}/documents?limit=1`);
      const { status, body } = await send({ target: url.slice(booted.origin.length) });
      expect([status, body.code]).toEqual([400, 'invalid_query']);
    });

    it('is no proof of possession: it cannot read secret documents or manage credentials', async () => {
      const { body } = await send(presigned());
      expect(body.proofs).toMatchObject([{ method: 'sigv4', bound: false, restricted: true }]);
      const alice = await issue({}, client(booted.origin, as({ id: 'alice', roles: ['admin'] })));
      const secret = `${booted.origin}/documents/alice-draft-secret`;
      expect((await fetch(presign(alice, secret))).status).toBe(404);
      expect((await sendWith(alice, '/documents/alice-draft-secret')).status).toBe(200);
      const before = await row(DEMO_KEY.id);
      const url = presign(DEMO_KEY, `${booted.origin}/access-keys/${DEMO_KEY.id}/rotate`, { method: 'POST' });
      const response = await fetch(url, { method: 'POST' });
      expect([response.status, await response.json()]).toEqual([
        403,
        expect.objectContaining({ code: 'limited_credential' }),
      ]);
      expect((await row(DEMO_KEY.id)).sealed).toBe(before.sealed);
    });
  });

  describe('attacks', () => {
    it('rejects a presigned URL that is expired, from the future, or valid for over a week', async () => {
      for (const expires of ['0', '-1', '604801', '1e3', '060', ' 60', '6.0', '', '9'.repeat(400)])
        await expectRejected(presigned({ expires }));
      await expectRejected(presigned({ at: minutes(-1), expires: '59' }));
      await expectRejected(presigned({ at: minutes(6), expires: '3600' }));
      await expectRejected(presigned({ at: minutes(-7 * 24 * 60), expires: '604800' }));
      const { target } = presigned();
      await expectRejected({ target: target.replace('Expires=60', 'Expires=600') });
      await expectRejected({ target: target.replace('&X-Amz-Expires=60', '') });
    });

    it('rejects a signature in both the header and the URL', async () => {
      const { target } = presigned();
      for (const both of [
        signed({ target }),
        { ...signed(), target },
        { ...signed(), target: `${DEMO}?x-amz-signature=` },
      ]) {
        const { status, body } = await send(both);
        expect([status, body.code]).toEqual([400, 'ambiguous_credentials']);
      }
    });

    it('rejects a parameter that was added behind a hundred empty ones', async () => {
      const { headers = {} } = signed({ target: `${DEMO}?a=1` });
      expect((await send({ headers, target: `${DEMO}?a=1&&` })).status).toBe(200);
      for (const count of [1, 98, 99, 100, 101, 900])
        await expectRejected({ headers, target: `${DEMO}?a=1${'&'.repeat(count)}b=2` });
    });

    it('rejects more than 32 signed headers', async () => {
      const message = (count: number) => {
        const names = Array.from({ length: count - 2 }, (_, i) => `a${i}`).sort();
        return signed({
          headers: Object.fromEntries(names.map((name) => [name, 'a'])),
          signedHeaders: [...names, 'host', 'x-amz-date'],
        });
      };
      expect((await send(message(32))).status).toBe(200);
      await expectRejected(message(33));
    });

    it('stores a used signature for twice the accepted clock skew', async () => {
      await booted.db.manager.clear(UsedValue);
      const draft = { method: 'POST', headers: JSON_TYPE, body: '{"title":"x"}', target: '/documents' };
      const at = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000);
      expect((await send(signed({ ...draft, at }))).status).toBe(201);
      expect((await send(presigned({ ...draft, at, expires: '3600' }))).status).toBe(201);
      const rows = await booted.db.manager.find(UsedValue, { order: { until: 'ASC' } });
      const seconds = at.getTime() / 1000;
      expect(rows.map(({ until }) => `${until}`)).toEqual([`${seconds + 600}`, `${seconds + 3600 + 300}`]);
    });

    it('rejects an absent signed header and an unsigned host', async () => {
      const signedHeaders = ['host', 'x-amz-date', 'x-not-there'];
      await expectRejected(signed({ signedHeaders }));
      await expectRejected(presigned({ signedHeaders: ['host', 'x-not-there'] }));
      await expectRejected(signed({ signedHeaders: ['x-amz-date'] }));
      await expectRejected(presigned({ headers: { 'x-a': 'a' }, signedHeaders: ['x-a'] }));
      for (const name of ['constructor', '__proto__', 'tostring'])
        await expectRejected(signed({ signedHeaders: [name, 'host', 'x-amz-date'].sort() }));
    });

    it('rejects unsigned headers that change the meaning of a request', async () => {
      const date = ['host', 'x-amz-date'];
      await expectRejected(signed({ signedHeaders: ['host'] }));
      await expectRejected(signed({ headers: { 'x-amz-meta-a': 'b' }, signedHeaders: date }));
      const before = await documents();
      await expectRejected(
        signed({
          method: 'POST',
          target: '/documents',
          headers: JSON_TYPE,
          body: '{"title":"x"}',
          signedHeaders: date,
        }),
      );
      await expectRejected(
        signed({
          method: 'PATCH',
          target: '/documents/x',
          headers: { 'if-match': '"1"' },
          signedHeaders: date,
        }),
      );
      const { target } = presigned();
      await expectRejected({ target, headers: { 'x-amz-meta-a': 'b' } });
      expect(await documents()).toBe(before);
      expect((await send(signed({ headers: { 'x-a': 'b' }, signedHeaders: date }))).status).toBe(200);
    });

    it('rejects a session token, whether signed, added or dropped', async () => {
      const token = { 'x-amz-security-token': 'AQoDYXdzEPT' };
      await expectRejected(signed({ headers: token }));
      const { headers } = signed();
      await expectRejected({ headers: { ...headers, ...token } });
      const dropped = signed({ headers: token }).headers!;
      const { 'x-amz-security-token': _, ...without } = dropped;
      await expectRejected({ headers: without });
      for (const name of ['X-Amz-Security-Token', 'x-amz-security-token'])
        await expectRejected(presigned({ more: [[name, 'AQoDYXdzEPT']] }));
      const { target } = presigned();
      await expectRejected({ target: `${target}&X-Amz-Security-Token=AQoDYXdzEPT` });
    });

    it('rejects a query that the signer did not sort, as curl 7 does', async () => {
      const time = formatTime(new Date());
      const scope = { day: time.slice(0, 8), region: 'atlas-1', service: 'auth-atlas' };
      const { host } = new URL(booted.origin);
      const signQuery = (query: string) => {
        const rest = [`host:${host}`, `x-amz-date:${time}`, '', 'host;x-amz-date', sha256('')];
        const toSign = stringToSign(time, scope, ['GET', DEMO, query, ...rest].join('\n'));
        const credential = `${DEMO_KEY.id}/${formatCredentialScope(scope)}`;
        const signature = sign(DEMO_KEY.secret, scope, toSign);
        const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=${signature}`;
        return { 'x-amz-date': time, authorization };
      };
      expect((await send({ target: `${DEMO}?b=2&a=1`, headers: signQuery('a=1&b=2') })).status).toBe(200);
      await expectRejected({ target: `${DEMO}?b=2&a=1`, headers: signQuery('b=2&a=1') });

      const fetchFrom = (query: string) => curl(DEMO_KEY, `${booted.origin}${DEMO}?${query}`);
      expect(await fetchFrom('a=1&b=2')).toMatch(/ 200$/);
      // Newer versions sort the query.
      const old = (await curl(DEMO_KEY, '--version')).startsWith('curl 7');
      expect(await fetchFrom('b=2&a=1')).toMatch(old ? /"invalid_sigv4".* 401$/ : / (?:200|401)$/);
    });

    it('signs the path as sent, without normalization and encoded once more', async () => {
      const { host } = new URL(booted.origin);
      /** Sends the path unchanged. fetch would normalize it. */
      const raw = (target: string, { headers = {} }: Message) => {
        const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}`);
        return client(booted.origin).raw(`GET ${target} HTTP/1.1`, 'Connection: close', ...lines, '');
      };
      for (const [travels, normal] of [
        ['/documents/.', '/documents'],
        ['/documents/..', '/'],
      ] as const) {
        expect(await raw(travels, signed({ target: travels }))).toMatch(/^HTTP\/1\.1 404 /);
        expect(await raw(travels, signed({ target: normal }))).toMatch(/^HTTP\/1\.1 401 .*"invalid_sigv4"/s);
      }
      for (const [travels, once] of [
        ['/documents/a%20b', '/documents/a b'],
        ['/documents/a%C3%A9', '/documents/aé'],
      ] as const) {
        expect((await send(signed({ target: travels }))).status).toBe(404);
        await expectRejected({ ...signed({ target: once }), target: travels });
      }
      for (const another of ['/demo/sig%764', '/demo/sigv%34'])
        expect(await raw(another, signed())).toMatch(/^HTTP\/1\.1 400 .*"invalid_target"/s);
      for (const another of [`${DEMO}/`, `/${DEMO}`, '/DEMO/sigv4', '/demo/./sigv4'])
        expect(await raw(another, signed())).toMatch(/^HTTP\/1\.1 404 /);
    });

    it('rejects the replay of a signed request with an unsafe method', async () => {
      const draft = { method: 'POST', target: '/documents', headers: JSON_TYPE, body: '{"title":"once"}' };
      const before = await documents();
      const once = signed({ ...draft, headers: { ...JSON_TYPE, 'amz-sdk-invocation-id': newKeyId() } });
      expect((await send(once)).status).toBe(201);
      await expectRejected(once);
      await expectRejected({ ...once, headers: { ...once.headers, 'x-unsigned': 'other' } });
      const { authorization = '' } = once.headers!;
      const inCapitals = authorization.replace(/\w+$/, (signature) => signature.toUpperCase());
      await expectRejected({ ...once, headers: { ...once.headers, authorization: inCapitals } });
      await expectRejected({
        ...once,
        headers: { ...once.headers, authorization: authorization.replaceAll(', ', ',') },
      });
      const atOnce = signed({ ...draft, headers: { ...JSON_TYPE, 'amz-sdk-invocation-id': newKeyId() } });
      const responses = await Promise.all([1, 2, 3, 4, 5].map(() => send(atOnce)));
      expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
      expect(responses.filter(({ body }) => body.code === 'invalid_sigv4')).toHaveLength(4);
      expect(await documents()).toBe(before + 2);
    });

    it('rejects the replay of a presigned URL with an unsafe method', async () => {
      const { body } = await bob().post('/documents', { title: 'to be deleted' });
      const key = await issue();
      const wrong = { 'if-match': '"7"' };
      const message = presigned({ key, method: 'DELETE', target: `/documents/${body.id}`, headers: wrong });
      expect((await send(message)).status).toBe(412);
      await expectRejected(message);
    });

    it('does not use up a signature with a rejected request', async () => {
      const draft = { method: 'POST', target: '/documents', headers: JSON_TYPE, body: '{"title":"good"}' };
      const good = signed({ ...draft, headers: { ...JSON_TYPE, 'amz-sdk-invocation-id': newKeyId() } });
      await expectRejected({ ...good, body: '{"title":"evil"}' });
      expect((await send(good)).status).toBe(201);
    });

    it('rejects a changed method, path, query, signed header or body', async () => {
      const target = '/documents?limit=1';
      const of = signed({ target, headers: { 'x-a': 'a' } });
      expect((await send(of)).status).toBe(200);
      await expectRejected({ ...of, method: 'POST' });
      await expectRejected({ ...of, target: '/documents?limit=2' });
      await expectRejected({ ...of, target: '/documents?limit=1&ownerId=bob' });
      await expectRejected({ ...of, target: '/documents' });
      await expectRejected({ ...of, headers: { ...of.headers, 'x-a': 'b' } });
      const plus = signed({ target: `${DEMO}?a=b%2Bc` });
      expect((await send(plus)).status).toBe(200);
      await expectRejected({ ...plus, target: `${DEMO}?a=b+c` });
      const before = await documents();
      const draft = signed({
        method: 'POST',
        target: '/documents',
        headers: JSON_TYPE,
        body: '{"title":"x"}',
      });
      await expectRejected({ ...draft, body: '{"title":"y"}' });
      await expectRejected({ ...draft, body: '{"title":"x"} ' });
      expect(await documents()).toBe(before);
    });

    it('rejects an unsigned body and a wrong hash of the body', async () => {
      const draft = { method: 'POST', target: '/documents', body: '{"title":"x"}' };
      const before = await documents();
      for (const hash of [
        'UNSIGNED-PAYLOAD',
        'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        sha256(''),
        sha256(draft.body).toUpperCase(),
      ]) {
        const headers = { ...JSON_TYPE, 'x-amz-content-sha256': hash };
        await expectRejected(signed({ ...draft, headers, payloadHash: hash }));
        await expectRejected(signed({ ...draft, headers }));
        await expectRejected(
          presigned({
            payloadHash: hash,
            more: [['X-Amz-Content-Sha256', hash]],
            ...draft,
            headers: JSON_TYPE,
          }),
        );
      }
      expect(await documents()).toBe(before);
    });

    it('rejects another day, region or service, and a clock skew of over five minutes', async () => {
      const day = formatTime(minutes(-24 * 60)).slice(0, 8);
      for (const odd of [{ day }, { region: 'us-east-1' }, { service: 's3' }, { at: minutes(6) }]) {
        await expectRejected(signed(odd));
        await expectRejected(presigned(odd));
      }
      await expectRejected(signed({ at: minutes(-5.1) }));
      for (const at of [minutes(-4.5), minutes(4.5)]) expect((await send(signed({ at }))).status).toBe(200);
      const { headers } = signed();
      await expectRejected({ headers: { ...headers, 'x-amz-date': formatTime(minutes(-1)) } });
    });

    it('rejects an unknown key, a wrong secret and the secret of another key', async () => {
      const [one, other] = [await issue(), await issue()];
      await expectRejected(signed({ key: { id: newKeyId(), secret: newSecret() } }));
      await expectRejected(signed({ key: { id: one.id, secret: other.secret } }));
      await expectRejected(presigned({ key: { id: one.id, secret: `${one.secret}x` } }));
      // A sealed secret cannot be opened for another row.
      await update(one.id, { sealed: (await row(other.id)).sealed });
      expect((await send(signed({ key: { id: one.id, secret: other.secret } }))).status).toBe(500);
    });

    it('rejects a request for another host in production', async () => {
      const env = {
        NODE_ENV: 'production',
        APP_SECRET: RANDOM_SECRET,
        PUBLIC_URL: 'https://api.atlas.test',
      };
      const api = await boot({ env, logTo: { write: () => {} } });
      await api.db.manager.insert(Tenant, { id: 'acme', name: 'Acme' });
      const account = {
        id: 'bob',
        tenantId: 'acme',
        username: 'bob',
        kind: 'user',
        roles: [],
        epoch: 0,
      } as const;
      await api.db.manager.insert(User, { ...account, roles: [], disabledAt: null });
      const key = { id: newKeyId(), secret: newSecret() };
      const sealed = api.app.select(SigV4Module).get(SecretBox, { strict: true }).seal(key.secret, key.id);
      await api.db.manager.insert(AccessKey, {
        id: key.id,
        userId: 'bob',
        name: 'x',
        sealed,
        createdAt: new Date(),
      });
      const fetchFrom = async (host: string) => {
        const lines = Object.entries({ host, ...signed({ key, host }).headers }).map(
          ([name, value]) => `${name}: ${value}`,
        );
        return client(api.origin).raw(`GET ${DEMO} HTTP/1.1`, 'Connection: close', ...lines, '');
      };
      expect(await fetchFrom('api.atlas.test')).toMatch(/^HTTP\/1\.1 200 /);
      expect(await fetchFrom('staging.atlas.test')).toMatch(/^HTTP\/1\.1 401 [\s\S]*"invalid_sigv4"/);
      await api.close();
    });

    it('rejects a duplicate query parameter', async () => {
      for (const message of [
        signed({ target: '/documents?limit=1&limit=2' }),
        signed({ target: `${DEMO}?a=1&%61=2` }),
        presigned({ target: `${DEMO}?a=1&a=1` }),
        presigned({ more: [['x-amz-expires', '600']] }),
        { target: `${presigned().target}&X-Amz-Date=20260101T000000Z` },
      ]) {
        const { status, body } = await send(message);
        expect([status, body.code]).toEqual([400, 'duplicate_parameter']);
      }
    });

    it('rejects malformed signatures with 401, never 500', async () => {
      const { target } = presigned();
      const withParameter = (name: string, value: string) => ({
        target: target.replace(new RegExp(`(${name}=)[^&]*`), `$1${value}`),
      });
      for (const message of [
        withParameter('Algorithm', 'AWS4-HMAC-SHA1'),
        withParameter('Algorithm', 'AWS4-ECDSA-P256-SHA256'),
        withParameter('Credential', DEMO_KEY.id),
        withParameter('Credential', `${DEMO_KEY.id}%2F20260230%2Fatlas-1%2Fauth-atlas%2Faws4_request`),
        withParameter('Date', '20260230T000000Z'),
        withParameter('SignedHeaders', ''),
        withParameter('SignedHeaders', 'host%3Bhost'),
        withParameter('SignedHeaders', 'Host'),
        withParameter('SignedHeaders', 'host%0A'),
        withParameter('Signature', ''),
        withParameter('Signature', 'G'.repeat(64)),
        withParameter('Signature', `${'0'.repeat(62)}%C3%A9`),
        presigned({ algorithm: 'AWS4-HMAC-SHA512' }),
        signed({ signedHeaders: ['x-amz-date', 'host'] }),
        signed({ signedHeaders: ['host', 'host', 'x-amz-date'] }),
        signed({ headers: { 'X-A': 'a' }, signedHeaders: ['X-A', 'host', 'x-amz-date'] }),
        signed({ signedHeaders: ['', 'host', 'x-amz-date'] }),
        { target: `${DEMO}?X-Amz-Signature=` },
        { target: `${DEMO}?${'a&'.repeat(101)}X-Amz-Signature=` },
        { target: `${DEMO}?x-amz-algorithm=&x-amz-credential=` },
        { ...signed(), target: `${DEMO}?${Array.from({ length: 101 }, (_, i) => `a${i}`).join('&')}` },
        { headers: { authorization: `AWS4-HMAC-SHA256 ${'Credential='.repeat(1_000)}` } },
        { headers: { authorization: `AWS4-HMAC-SHA256${' '.repeat(8_000)}x` } },
        { headers: { authorization: 'aws4-hmac-sha256, Basic eDp5' } },
      ])
        await expectRejected(message);
    });

    it('rejects a second credential beside the signature', async () => {
      const basic = { Authorization: 'Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU=' };
      for (const message of [
        { target: presigned({ target: '/me' }).target, headers: basic },
        { target: presigned({ target: '/me' }).target, headers: { Authorization: 'Bearer x' } },
        { target: presigned().target, headers: { Authorization: 'Bearer x' } },
      ]) {
        const { status, body } = await send(message);
        expect([status, body.code]).toEqual([400, 'ambiguous_credentials']);
      }
    });

    it('stores no secret in clear', async () => {
      const { id, secret } = await issue();
      const dump = JSON.stringify(await booted.db.query('SELECT * FROM access_keys'));
      expect([dump.includes(id), dump.includes(secret), dump.includes(DEMO_KEY.secret)]).toEqual([
        true,
        false,
        false,
      ]);
    });

    it("hides another account's key from list, rotation and revocation", async () => {
      const { id } = await issue();
      const before = await row(id);
      for (const other of [
        as({ id: 'carol' }),
        as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }),
      ]) {
        const who = client(booted.origin, other);
        expect((await who.post(`/access-keys/${id}/rotate`)).body.code).toBe('not_found');
        expect((await who.send('DELETE', `/access-keys/${id}`)).body.code).toBe('not_found');
        expect(JSON.stringify((await who.get('/access-keys')).body)).not.toContain(id);
      }
      expect(await row(id)).toEqual(before);
    });

    it('lets a key rotate itself, and neither its replaced secret nor a presigned URL', async () => {
      const [key, other] = [await issue(), await issue()];
      const rotate = (signer: SigV4Credentials, id = key.id) =>
        sendWith(signer, `/access-keys/${id}/rotate`, { method: 'POST', headers: JSON_TYPE, body: '{}' });
      const expectLimited = async (response: Response) =>
        expect([response.status, await response.json()]).toEqual([
          403,
          expect.objectContaining({ code: 'limited_credential' }),
        ]);
      await expectLimited(await rotate(key, other.id));
      const renewed = { ...key, ...((await (await rotate(key)).json()) as SigV4Credentials) };
      const { sealed } = await row(key.id);
      expect((await sendWith(key, '/me')).status).toBe(200);
      await expectLimited(await rotate(key));
      await expectLimited(await sendWith(key, `/access-keys/${key.id}`, { method: 'DELETE' }));
      const url = presign(renewed, `${booted.origin}/access-keys/${key.id}`, { method: 'DELETE' });
      await expectLimited(await fetch(url, { method: 'DELETE' }));
      expect(await row(key.id)).toMatchObject({ sealed, revokedAt: null });
      expect((await sendWith(renewed, `/access-keys/${key.id}`, { method: 'DELETE' })).status).toBe(204);
    });

    it('rejects fields that the caller may not set', async () => {
      for (const body of [{ userId: 'alice' }, { sealed: 'x' }, { id: DEMO_KEY.id }, { secret: 'x' }]) {
        const response = await bob().post('/access-keys', { name: 'x', ...body });
        expect([response.status, response.body.errors[0].field]).toEqual([422, Object.keys(body)[0]]);
      }
    });
  });
});
