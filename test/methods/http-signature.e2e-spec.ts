import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Param, Post, UseGuards } from '@nestjs/common';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';
import {
  createHash,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  randomUUID,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Authenticate, Caller, Public, SelfService } from '../../src/authentication/plan.js';
import type { Principal } from '../../src/authentication/principal.js';
import { ReplayStore, UsedValue } from '../../src/crypto/replay-store.service.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { sign, type SignatureAlgorithm } from '../../src/methods/http-signature/http-signature.algorithms.js';
import {
  fetchResponseKeys,
  requestSignedResponse,
  verifyResponse,
  withHttpSignature,
} from '../../src/methods/http-signature/http-signature.client.js';
import { mustCover } from '../../src/methods/http-signature/http-signature.guard.js';
import { DEMO_KEY_ID } from '../../src/methods/http-signature/http-signature.demo.js';
import { contentDigest } from '../../src/methods/http-signature/http-signature.content-digest.js';
import { SignatureKey } from '../../src/methods/http-signature/http-signature.entity.js';
import { InvalidSignature } from '../../src/methods/http-signature/http-signature.js';
import {
  responseComponents,
  signatureHeaders,
} from '../../src/methods/http-signature/http-signature.signer.js';
import { HttpSignatureStrategy } from '../../src/methods/http-signature/http-signature.strategy.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { RANDOM_SECRET, as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { contract, createSignatureKey } from './http-signature.contract.js';

satisfiesTheContract(contract);

@Controller('signed')
@SelfService()
class SignedController {
  @Get('conditional')
  @Authenticate('http-signature')
  @UseGuards(mustCover('if-match'))
  conditional(@Caller() caller: Principal) {
    return { id: caller.id };
  }

  @Get('open')
  @Public()
  @UseGuards(mustCover('if-match'))
  open() {
    return {};
  }

  @Get(':id')
  find(@Param('id') id: string) {
    return { id };
  }

  @Post()
  create(@Caller() caller: Principal) {
    return { id: caller.id };
  }
}

interface Signer {
  readonly keyid: string;
  readonly key: KeyObject;
}

const DEMO = '/demo/http-signature';
const CODE = 'invalid_http_signature';
const ED25519_BYTES = 64;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const nowInSeconds = () => Math.floor(Date.now() / 1000);

describe('http-signature', () => {
  let booted: Booted;
  let host: string;
  let machine: Signer;
  beforeAll(async () => {
    booted = await boot({ controllers: [SignedController], env: { TRUST_PROXY: '127.0.0.1' } });
    host = new URL(booted.origin).host;
    machine = await createSignatureKey(booted, 'acme-machine');
  });
  afterAll(() => booted.close());

  /** A client that is signed in as bob by another method, without scopes. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const row = (id: string) => booted.db.manager.findOneByOrFail(SignatureKey, { id });
  const update = (id: string, changes: Partial<SignatureKey>) =>
    booted.db.manager.update(SignatureKey, { id }, changes);
  const request = (path: string, init?: RequestInit) => new Request(booted.origin + path, init);
  const json = (body: string) => ({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  const responseTo = async (signed: Request): Promise<TestResponse> => {
    const response = await fetch(signed);
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  const call = async (signer: Signer, path = DEMO, init?: RequestInit) =>
    responseTo(await withHttpSignature(signer)(request(path, init)));
  const isAccepted = async (signer: Signer) => (await call(signer)).status === 200;
  const nonces = () => booted.db.manager.count(UsedValue);

  /** Expects the 401 that every invalid signature receives. */
  const expectInvalid = (response: TestResponse) => {
    expect([response.status, response.body.code]).toEqual([401, CODE]);
    expect(response.headers.get('www-authenticate')).toBe(`Signature realm="auth-atlas", error="${CODE}"`);
    expect(response.headers.get('accept-signature')).toBe(
      'sig=("@method" "@authority" "@path" "@query" "content-digest");created;tag="auth-atlas"',
    );
  };

  type Covered = readonly (readonly [identifier: string, value: string])[];
  const requiredComponents = (path = DEMO, method = 'GET'): Covered => [
    ['"@method"', method],
    ['"@authority"', host],
    ['"@path"', path],
    ['"@query"', '?'],
  ];
  const parametersOf = ({ keyid }: Signer, changes: Record<string, string | undefined> = {}) => {
    const all = {
      created: String(nowInSeconds()),
      keyid: `"${keyid}"`,
      nonce: `"${randomUUID()}"`,
      tag: '"auth-atlas"',
      ...changes,
    };
    return Object.entries(all)
      .flatMap(([name, value]) => (value === undefined ? [] : [`;${name}=${value}`]))
      .join('');
  };
  /** Creates the two headers by hand, so that a test can break any rule of the signature base. */
  const craft = (
    signer: Signer,
    {
      covered = requiredComponents(),
      changes = {},
      label = 'sig',
      algorithm = 'ed25519',
    }: {
      covered?: Covered;
      changes?: Record<string, string | undefined>;
      label?: string;
      algorithm?: SignatureAlgorithm;
    } = {},
  ) => {
    const input = `(${covered.map(([identifier]) => identifier).join(' ')})${parametersOf(signer, changes)}`;
    const lines = covered.map(([identifier, value]) => `${identifier}: ${value}\n`).join('');
    const signature = sign(algorithm, signer.key, `${lines}"@signature-params": ${input}`);
    return {
      'Signature-Input': `${label}=${input}`,
      Signature: `${label}=:${signature.toString('base64')}:`,
    };
  };
  const send = (headers: Record<string, string>, path = DEMO) => client(booted.origin).get(path, headers);

  describe('a key', () => {
    const register = async (jwk: JsonWebKey, more: object = {}, who = bob()) => {
      const response = await who.post('/signature-keys', { name: 'test', jwk, ...more });
      expect(response.status).toBe(201);
      return response.body as { id: string; challenge: string; algorithm: SignatureAlgorithm };
    };
    const prove = (id: string, signature: Buffer, who = bob()) =>
      who.post(`/signature-keys/${id}/proof`, { signature: signature.toString('base64') });

    it.each([
      ['ed25519', generateKeyPairSync('ed25519')],
      ['ecdsa-p256-sha256', p256],
      ['ecdsa-p384-sha384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
      ['rsa-pss-sha512', rsa],
    ] as const)(
      'of the algorithm %s signs requests after its proof of possession',
      async (algorithm, pair) => {
        const jwk = pair.publicKey.export({ format: 'jwk' });
        // Web Crypto adds key_ops and ext to a JWK.
        const { id, challenge, ...registered } = await register({ ...jwk, key_ops: ['verify'], ext: true });
        expect(registered).toMatchObject({ algorithm, jwk, provedAt: null, scopes: null });
        const signer = { keyid: id, key: pair.privateKey };
        expectInvalid(await call(signer));
        const proved = await prove(id, sign(algorithm, pair.privateKey, challenge));
        expect(proved.status).toBe(200);
        expect(proved.body).toMatchObject({ id, provedAt: expect.any(String) });
        expect((await call(signer)).body).toMatchObject({
          id: 'bob',
          proofs: [{ method: 'http-signature', credentialId: id, amr: ['pop'], bound: true }],
        });
      },
    );

    it('is listed, and is rejected at once after its revocation', async () => {
      const signer = await createSignatureKey(booted, 'bob');
      const { body } = await bob().get('/signature-keys');
      expect(body.items).toContainEqual(
        expect.objectContaining({
          id: signer.keyid,
          name: 'test',
          jwk: createPublicKey(signer.key).export({ format: 'jwk' }),
        }),
      );
      expect(await isAccepted(signer)).toBe(true);
      expect((await bob().send('DELETE', `/signature-keys/${signer.keyid}`)).status).toBe(204);
      expectInvalid(await call(signer));
      expect((await bob().send('DELETE', `/signature-keys/${signer.keyid}`)).status).toBe(404);
    });

    it('is limited to its scopes', async () => {
      const reader = await createSignatureKey(booted, 'bob', undefined, { scopes: ['documents:read'] });
      expect((await call(reader, '/documents')).status).toBe(200);
      expect((await call(reader, '/documents', json('{"title":"x"}'))).status).toBe(403);
    });

    it('records registration, proof and revocation in the audit log', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const { id, challenge } = await register(publicKey.export({ format: 'jwk' }));
      await prove(id, sign('ed25519', privateKey, challenge));
      await bob().send('DELETE', `/signature-keys/${id}`);
      const events = await booted.db.manager.find(AuditEvent, {
        where: { target: `signature-key:${id}` },
        order: { seq: 'ASC' },
      });
      expect(events.map(({ event, userId, details }) => [event, userId, details])).toEqual([
        ['authn_token_created', 'bob', {}],
        ['authn_token_created', 'bob', { proved: true }],
        ['authn_token_revoked', 'bob', {}],
      ]);
    });

    it('stores when it was last used', async () => {
      const signer = await createSignatureKey(booted, 'bob');
      await call(signer);
      await booted.app.get(LastUsed).flush();
      expect((await row(signer.keyid)).lastUsedAt).toBeInstanceOf(Date);
    });

    it.each([
      ['private', { ...p256.privateKey.export({ format: 'jwk' }) }, 'jwk.d'],
      [
        'an RSA key that is too short',
        generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }),
        'jwk',
      ],
      [
        'on another curve',
        generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey.export({ format: 'jwk' }),
        'jwk.crv',
      ],
      ['not on its curve', { kty: 'EC', crv: 'P-256', x: 'AQ', y: 'AQ' }, 'jwk'],
      [
        'an Ed25519 key of small order',
        { kty: 'OKP', crv: 'Ed25519', x: Buffer.of(1, ...Buffer.alloc(31)).toString('base64url') },
        'jwk',
      ],
      ['a shared secret', { kty: 'oct', k: 'c2VjcmV0' }, 'jwk.kty'],
      ['empty', {}, 'jwk.kty'],
    ])('is rejected if it is %s', async (_, jwk, field) => {
      const before = await booted.db.manager.count(SignatureKey);
      const { status, body } = await bob().post('/signature-keys', { name: 'x', jwk });
      expect([status, body.code, body.errors[0].field]).toEqual([422, 'invalid_body', field]);
      expect(await booted.db.manager.count(SignatureKey)).toBe(before);
    });

    it('is proved only by its private key, for one key and one account', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const jwk = publicKey.export({ format: 'jwk' });
      const [first, second] = [await register(jwk), await register(jwk)];
      expect(first.challenge).toMatch(`requests to http://localhost:0 for bob of acme: key ${first.id}, `);
      for (const signature of [
        sign('ed25519', generateKeyPairSync('ed25519').privateKey, first.challenge),
        sign('ed25519', privateKey, second.challenge),
        sign('ed25519', privateKey, ''),
        Buffer.alloc(ED25519_BYTES),
        Buffer.alloc(1),
      ]) {
        const { status, body } = await prove(first.id, signature);
        expect([status, body.code]).toEqual([403, 'invalid_key_proof']);
      }
      const good = sign('ed25519', privateKey, first.challenge);
      const carol = client(booted.origin, as({ id: 'carol' }));
      expect((await prove(first.id, good, carol)).body.code).toBe('not_found');
      expect((await row(first.id)).provedAt).toBe(null);
      expect((await prove(first.id, good)).status).toBe(200);
      expect((await prove(first.id, good)).body.code).toBe('key_proof_expired');
    });

    it('cannot be proved late, twice or after its revocation', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const jwk = publicKey.export({ format: 'jwk' });
      const late = await register(jwk);
      await update(late.id, { challengeUntil: new Date() });
      const proof = (of: { id: string; challenge: string }) =>
        prove(of.id, sign('ed25519', privateKey, of.challenge));
      expect((await proof(late)).body.code).toBe('key_proof_expired');
      const twice = await register(jwk);
      const statuses = await Promise.all([1, 2, 3].map(async () => (await proof(twice)).status));
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 409, 409]);
      const ended = await register(jwk);
      await update(ended.id, { revokedAt: new Date() });
      expect((await proof(ended)).status).toBe(404);
    });
  });

  it('accepts a signed body and a signed query', async () => {
    const created = await call(machine, '/documents', json('{"title":"signed"}'));
    expect([created.status, created.body]).toMatchObject([201, { title: 'signed', ownerId: 'acme-machine' }]);
    const found = await call(machine, '/documents?limit=1');
    expect([found.status, found.body.items.length]).toEqual([200, 1]);
  });

  it('stores a nonce for twice the accepted clock skew', async () => {
    await booted.db.manager.clear(UsedValue);
    const created = nowInSeconds() - 100;
    expect((await send(craft(machine, { changes: { created: String(created) } }))).status).toBe(200);
    const [used] = await booted.db.manager.find(UsedValue);
    expect(Number(used?.until)).toBe(created + 600);
  });

  it('stores a demo key', async () => {
    expect(await row(DEMO_KEY_ID)).toMatchObject({ userId: 'acme-machine', algorithm: 'ed25519' });
  });

  it('ignores a signature with the tag of another application', async () => {
    const foreign = craft(await createSignatureKey(booted, 'bob'), {
      label: 'proxy',
      changes: { tag: '"proxy"' },
    });
    const own = craft(machine);
    const both = {
      'Signature-Input': `${foreign['Signature-Input']}, ${own['Signature-Input']}`,
      Signature: `${foreign.Signature}, ${own.Signature}`,
    };
    expect((await send(both)).body).toMatchObject({ id: 'acme-machine' });
    expect((await send(foreign)).body.code).toBe('unauthenticated');
    expect((await client(booted.origin, as({ id: 'bob' })).get('/me', foreign)).body.id).toBe('bob');
  });

  it('mustCover rejects a signature without the component and names it', async () => {
    const path = '/signed/conditional';
    const headers = { 'If-Match': '"1"' };
    const covering = await withHttpSignature(machine, ['if-match'])(request(path, { headers }));
    expect((await responseTo(covering)).body).toEqual({ id: 'acme-machine' });
    for (const response of [
      await call(machine, path, { headers }),
      await client(booted.origin).get('/signed/open'),
    ]) {
      expect([response.status, response.body.code]).toEqual([401, CODE]);
      expect(response.headers.get('accept-signature')).toMatch('"content-digest" "if-match");created');
    }
  });

  describe('components that cover the same parts of a request', () => {
    const uri = (path = DEMO) => booted.origin + path;
    const covering = (...covered: Covered) => send(craft(machine, { covered }));
    const method = ['"@method"', 'GET'] as const;
    const authority = () => ['"@authority"', host] as const;

    it('are accepted instead: @target-uri, or @authority with @request-target', async () => {
      for (const response of [
        await covering(method, ['"@target-uri"', uri()]),
        await covering(method, authority(), ['"@request-target"', DEMO]),
      ])
        expect([response.status, response.body.id]).toEqual([200, 'acme-machine']);
    });

    it('have the scheme that a trusted proxy forwards', async () => {
      const https = () => ({
        ...craft(machine, { covered: [method, ['"@target-uri"', uri().replace('http', 'https')]] }),
      });
      expectInvalid(await send(https()));
      expect((await send({ ...https(), 'X-Forwarded-Proto': 'https' })).status).toBe(200);
      expectInvalid(
        await send({
          ...craft(machine, { covered: [method, ['"@target-uri"', uri()]] }),
          'X-Forwarded-Proto': 'https',
        }),
      );
    });

    it('are rejected if they leave out the method, the host, the path or the query', async () => {
      for (const response of [
        await covering(['"@target-uri"', uri()]),
        await covering(authority(), ['"@request-target"', DEMO]),
        await covering(method, ['"@request-target"', DEMO]),
        await covering(method, authority(), ['"@path"', DEMO]),
        await covering(method, ['"@scheme"', 'http'], ['"@path"', DEMO], ['"@query"', '?']),
        await covering(['"@method";req', 'GET'], ['"@target-uri"', uri()]),
      ])
        expectInvalid(response);
    });

    it('are rejected for another method, scheme, host, path or query', async () => {
      const before = await nonces();
      for (const other of [uri('/me'), uri(`${DEMO}?a`), `${uri()}?`, uri().replace('http', 'https')])
        expectInvalid(await covering(method, ['"@target-uri"', other]));
      expectInvalid(await covering(method, ['"@target-uri"', 'http://evil.test/demo/http-signature']));
      expectInvalid(await covering(['"@method"', 'POST'], ['"@target-uri"', uri()]));
      expectInvalid(await covering(method, authority(), ['"@request-target"', `${DEMO}?a`]));
      expect(await nonces()).toBe(before);
    });
  });

  describe('another library', () => {
    const librarySigner = (signer: Signer, algorithm = 'ed25519') =>
      createSigner(signer.key, algorithm, signer.keyid);
    const config = (signer: Signer, fields: string[], algorithm?: string) => ({
      key: librarySigner(signer, algorithm),
      fields,
      params: ['created', 'keyid', 'alg', 'nonce', 'tag', 'expires'],
      paramValues: { nonce: randomUUID(), tag: 'auth-atlas' },
    });
    const minimum = ['@method', '@authority', '@path', '@query'];

    it.each([
      ['ed25519', undefined],
      ['ecdsa-p256-sha256', p256],
      ['ecdsa-p384-sha384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ])('signs requests with %s that are accepted', async (algorithm, pair) => {
      const signer = await createSignatureKey(booted, 'bob', pair);
      const message = { method: 'GET', url: booted.origin + DEMO, headers: {} };
      const { headers } = await httpbis.signMessage(config(signer, minimum, algorithm), message);
      expect((await send(headers as Record<string, string>)).body.id).toBe('bob');
    });

    it('signs with rsa-pss-sha512, which is accepted only with a salt of 64 bytes (section 3.3.1)', async () => {
      const signer = await createSignatureKey(booted, 'bob', rsa);
      const message = { method: 'GET', url: booted.origin + DEMO, headers: {} };
      const algorithm = 'rsa-pss-sha512';
      const longer = await httpbis.signMessage(config(signer, minimum, algorithm), message);
      expectInvalid(await send(longer.headers));
      const key = {
        ...librarySigner(signer, algorithm),
        sign: async (data: Buffer) => sign(algorithm, signer.key, data.toString()),
      };
      const signed = await httpbis.signMessage({ ...config(signer, minimum), key }, message);
      expect((await send(signed.headers as Record<string, string>)).body.id).toBe('bob');
    });

    it('signs the target URI, with and without a query', async () => {
      for (const path of [DEMO, `${DEMO}?b=2&a=%20`]) {
        const message = { method: 'GET', url: booted.origin + path, headers: {} };
        const { headers } = await httpbis.signMessage(config(machine, ['@method', '@target-uri']), message);
        expect((await send(headers as Record<string, string>, path)).body.id).toBe('acme-machine');
      }
    });

    it('signs a body with its own digest', async () => {
      const body = '{"title":"by a library"}';
      const digest = `sha-512=:${createHash('sha512').update(body).digest('base64')}:`;
      const message = {
        method: 'POST',
        url: `${booted.origin}/documents`,
        headers: { 'content-type': 'application/json', 'content-digest': digest },
      };
      const fields = [...minimum, 'content-digest', 'content-type'];
      const { headers } = await httpbis.signMessage(config(machine, fields), message);
      const response = await fetch(message.url, {
        method: 'POST',
        body,
        headers: headers as Record<string, string>,
      });
      expect(response.status).toBe(201);
    });

    it('verifies the signatures of our client and our server', async () => {
      const sent = await withHttpSignature(machine)(
        requestSignedResponse(request('/signed/1?a=1', json('{}'))),
      );
      const message = { method: 'POST', url: sent.url, headers: Object.fromEntries(sent.headers) };
      const keyLookup = async () => ({ verify: createVerifier(createPublicKey(machine.key), 'ed25519') });
      expect(await httpbis.verifyMessage({ keyLookup, requiredFields: minimum }, message)).toBe(true);
      const signedRequest = await withHttpSignature(machine)(requestSignedResponse(request('/signed/1?a=1')));
      const response = await fetch(signedRequest.clone());
      const keys = await fetchResponseKeys(booted.origin);
      const result = { status: response.status, headers: Object.fromEntries(response.headers) };
      const of = {
        method: 'GET',
        url: signedRequest.url,
        headers: Object.fromEntries(signedRequest.headers),
      };
      const serverKey = async ({ keyid }: { keyid?: string }) => ({
        verify: createVerifier(keys.get(keyid!)!, 'ecdsa-p256-sha256'),
      });
      expect(await httpbis.verifyMessage({ keyLookup: serverKey }, result, of)).toBe(true);
    });
  });

  describe('a signed response', () => {
    let keys: ReadonlyMap<string, KeyObject>;
    beforeAll(async () => (keys = await fetchResponseKeys(booted.origin)));

    const callRoute = async (path: string, init?: RequestInit, signer = machine) => {
      const sent = await withHttpSignature(signer)(requestSignedResponse(request(path, init)));
      return { sent, response: await fetch(sent.clone()) };
    };
    const withBody = (response: Response, body: string | undefined, init: ResponseInit = {}) =>
      new Response(body, { status: response.status, headers: response.headers, ...init });

    it('verifies for any status', async () => {
      for (const [path, init, status] of [
        ['/signed/1', {}, 200],
        ['/documents?limit=2', {}, 200],
        ['/documents', json('{"title":"x"}'), 201],
        ['/documents/none', {}, 404],
        ['/signed/1', { method: 'HEAD' }, 200],
      ] as const) {
        const { sent, response } = await callRoute(path, init);
        expect([path, response.status]).toEqual([path, status]);
        await verifyResponse(response, sent, keys);
        expect(response.headers.get('signature-input')).toMatch(
          /^response=\("@status" "content-digest" "content-type" "@method";req .*"signature";req\);created=/,
        );
      }
    });

    it('may have no body, and may be a response to an unsigned request', async () => {
      const signer = await createSignatureKey(booted, 'acme-machine');
      const { sent, response } = await callRoute(
        `/signature-keys/${signer.keyid}`,
        { method: 'DELETE' },
        signer,
      );
      expect(response.status).toBe(204);
      await verifyResponse(response, sent, keys);
      const open = requestSignedResponse(request('/methods'));
      await verifyResponse(await fetch(open.clone()), open, keys);
    });

    it('is rejected if the body, the status, a header or the request is another, or if it is unsigned', async () => {
      const { sent, response } = await callRoute('/signed/1');
      const body = await response.clone().text();
      const expectRejected = async (response: Response, to = sent, by = keys) => {
        await expect(verifyResponse(response, to, by)).rejects.toBeInstanceOf(InvalidSignature);
      };
      await verifyResponse(withBody(response, body), sent, keys);
      await expectRejected(withBody(response, body.replace('1', '2')));
      await expectRejected(withBody(response, body, { status: 201 }));
      const headers = new Headers(response.headers);
      headers.set('Content-Type', 'text/html');
      await expectRejected(withBody(response, body, { headers }));
      for (const name of ['Signature', 'Signature-Input', 'Content-Digest']) {
        const without = new Headers(response.headers);
        without.delete(name);
        await expectRejected(withBody(response, body, { headers: without }));
      }
      await expectRejected(response, (await callRoute('/signed/1')).sent);
      await expectRejected(response, new Request(sent, { method: 'DELETE' }));
      await expectRejected(response, new Request(sent.url.replace('/1', '/2'), sent));
      await expectRejected(response, new Request(`${sent.url}?a`, sent));
      await expectRejected(response, requestSignedResponse(new Request(sent)));
      await expectRejected(response, sent, new Map());
      await expectRejected(response, sent, new Map([...keys].map(([kid]) => [kid, p256.publicKey])));
    });

    it('is rejected if its signature does not cover every component', async () => {
      const sent = requestSignedResponse(await withHttpSignature(machine)(request('/signed/1')));
      const { pathname, host: authority } = new URL(sent.url);
      const lines = (headers: Headers) => (name: string) =>
        [headers.get(name)].filter((value) => value !== null);
      const headers = new Headers({
        'Content-Digest': contentDigest(Buffer.from('{}')),
        'Content-Type': 'text/plain',
      });
      const of = { method: 'GET', secure: false, authority, target: pathname, lines: lines(sent.headers) };
      const message = { status: 200, lines: lines(headers), request: of };
      const signer = { keyid: 'own', key: p256.privateKey, algorithm: 'ecdsa-p256-sha256' } as const;
      const nonce = /nonce="([^"]*)"/.exec(sent.headers.get('Accept-Signature')!)![1]!;
      const response = (covered: readonly string[]) => {
        const fields = signatureHeaders(message, covered, signer, { label: 'response', nonce });
        return new Response('{}', { headers: { ...Object.fromEntries(headers), ...fields } });
      };
      const own = new Map([['own', p256.publicKey]]);
      const all = responseComponents(message);
      await verifyResponse(response(all), sent, own);
      for (let i = 0; i < all.length; i++)
        await expect(verifyResponse(response(all.toSpliced(i, 1)), sent, own)).rejects.toBeInstanceOf(
          InvalidSignature,
        );
    });

    it('is not created for a rejected request or a malformed Accept-Signature', async () => {
      const accepting = { 'Accept-Signature': 'a=();tag="auth-atlas"' };
      const closed = await client(booted.origin).get('/me', accepting);
      expect([closed.status, closed.headers.get('signature')]).toEqual([401, null]);
      for (const value of ['', 'a', 'a=(', 'a=()', 'a=1;tag="auth-atlas"', 'a=();tag="auth-atlas", a=()']) {
        const response = await client(booted.origin).get('/methods', { 'Accept-Signature': value });
        expect([response.status, response.headers.get('signature')]).toEqual([200, null]);
      }
      const signed = await client(booted.origin).get('/methods', accepting);
      expect(signed.headers.get('signature-input')).toMatch(/^a=\(/);
      const odd = await client(booted.origin).get('/methods', { ...accepting, Signature: 'caf\u00e9' });
      expect([odd.status, odd.headers.get('signature')]).toEqual([200, null]);
    });

    it('publishes its public keys only', async () => {
      const { status, body, headers } = await client(booted.origin).get(
        '/.well-known/http-message-signatures-directory',
      );
      expect([status, headers.get('cache-control')]).toEqual([200, 'public, max-age=300']);
      expect(body.keys[0]).toEqual({
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        kid: expect.any(String),
        alg: 'ES256',
        use: 'sig',
      });
    });
  });

  describe('attacks', () => {
    /** Expects that all requests are rejected and that no nonce is stored. */
    const expectAllRejected = async (...all: readonly Record<string, string>[]) => {
      const before = await nonces();
      for (const headers of all) expectInvalid(await send(headers));
      expect(await nonces()).toBe(before);
    };

    it('accepts a valid signature that is created by hand', async () => {
      expect((await send(craft(machine))).body.id).toBe('acme-machine');
    });

    it('rejects a signature that is too old, from the future or expired', async () => {
      const now = nowInSeconds();
      await expectAllRejected(
        ...[
          { created: undefined },
          { created: String(now - 302) },
          { created: String(now + 302) },
          { expires: String(now) },
          { expires: String(now - 60), created: String(now - 30) },
          { created: `"${now}"` },
        ].map((changes) => craft(machine, { changes })),
      );
      const good = { created: String(now - 290), expires: String(now + 60) };
      expect((await send(craft(machine, { changes: good }))).status).toBe(200);
    });

    it('requires a nonce and accepts it once', async () => {
      await expectAllRejected(craft(machine, { changes: { nonce: undefined } }));
      const nonce = `"${randomUUID()}"`;
      expect((await send(craft(machine, { changes: { nonce } }))).status).toBe(200);
      await expectAllRejected(
        craft(machine, { changes: { nonce } }),
        craft(machine, { changes: { nonce, expires: '9999999999' } }),
      );
      // A used nonce stays stored while a request with it could still be accepted.
      await booted.app.get(ReplayStore).cleanUp();
      await expectAllRejected(craft(machine, { changes: { nonce } }));
      // Each key has its own nonces.
      const other = await createSignatureKey(booted, 'bob');
      expect((await send(craft(other, { changes: { nonce } }))).status).toBe(200);
    });

    it('accepts one of several concurrent requests to two processes', async () => {
      const processes = await startProcesses(2);
      const signer = await createSignatureKey(processes, 'bob');
      const covered: Covered = requiredComponents().map(([name, value]) => [
        name,
        name === '"@authority"' ? 'atlas.test' : value,
      ]);
      for (let round = 0; round < 5; round++) {
        const fields = Object.entries(craft(signer, { covered })).map(([name, value]) => `${name}: ${value}`);
        const lines = [`GET ${DEMO} HTTP/1.1`, 'Host: atlas.test', 'Connection: close', ...fields, ''];
        const responses = await Promise.all(
          [...processes.origins, ...processes.origins].map((origin) => client(origin).raw(...lines)),
        );
        expect(responses.map((response) => response.slice(9, 12)).toSorted()).toEqual([
          '200',
          '401',
          '401',
          '401',
        ]);
      }
      await processes.stop();
    });

    it('responds alike to an unknown key and to a wrong signature', async () => {
      const seen = ({ status, headers, body }: TestResponse) => [
        status,
        headers.get('www-authenticate'),
        { ...body, requestId: '' },
      ];
      const forged = await send(craft({ ...machine, key: generateKeyPairSync('ed25519').privateKey }));
      expectInvalid(forged);
      for (const keyid of [randomUUID(), '../../etc/passwd', "' OR 1=1 --", 'constructor', 'x'.repeat(255)])
        expect(seen(await send(craft({ ...machine, keyid })))).toEqual(seen(forged));
      await expectAllRejected(craft(machine, { changes: { keyid: undefined } }));
    });

    it('rejects a key of another tenant under the keyid of this one', async () => {
      const mallory = await createSignatureKey(booted, 'mallory');
      expect((await send(craft(mallory))).body).toMatchObject({ id: 'mallory', tenantId: 'globex' });
      await expectAllRejected(craft({ keyid: machine.keyid, key: mallory.key }));
    });

    it('rejects two signatures with our tag and swapped labels', async () => {
      const [own, other] = [craft(machine), craft(await createSignatureKey(booted, 'bob'), { label: 'b' })];
      const join = (name: 'Signature' | 'Signature-Input', ...all: (typeof own)[]) =>
        all.map((each) => each[name]).join(', ');
      await expectAllRejected(
        { 'Signature-Input': join('Signature-Input', own, other), Signature: join('Signature', own, other) },
        // Swapped labels: bob's signature under the machine's parameters.
        {
          'Signature-Input': own['Signature-Input'],
          Signature: other.Signature.replace('b=', 'sig='),
        },
      );
      const elsewhere = craft(machine, { label: 'unexpected-label' });
      expect((await send(elsewhere)).status).toBe(200);
    });

    it('responds 400 to two members with the same label', async () => {
      const [own, other] = [craft(machine), craft(machine)];
      for (const headers of [
        { ...own, 'Signature-Input': `${own['Signature-Input']}, ${other['Signature-Input']}` },
        { ...own, Signature: `${own.Signature}, ${other.Signature}` },
      ]) {
        const response = await send(headers);
        expect([response.status, response.body.code]).toEqual([400, 'duplicate_header']);
      }
    });

    it('rejects a missing or malformed tag and ignores another one', async () => {
      for (const tag of [undefined, 'auth-atlas', ':YXV0aC1hdGxhcw==:'])
        expectInvalid(await send(craft(machine, { changes: { tag } })));
      const response = await send(craft(machine, { changes: { tag: '"auth-atlas2"' } }));
      expect([response.status, response.body.code]).toEqual([401, 'unauthenticated']);
    });

    it('rejects either header without the other, or under another label', async () => {
      const { Signature, 'Signature-Input': input } = craft(machine);
      await expectAllRejected(
        { Signature },
        { 'Signature-Input': input },
        { 'Signature-Input': input, Signature: Signature.replace('sig=', 'sig1=') },
        { 'Signature-Input': `${input}, x=()`, Signature },
        { 'Signature-Input': input, Signature: `${Signature}, x=:AA==:` },
      );
    });

    describe('the body', () => {
      const body = '{"title":"signed"}';
      const post = (headers: Record<string, string>, sent = body) =>
        client(booted.origin).send('POST', '/documents', { body: sent, headers });
      const covering = (digest: string) =>
        craft(machine, {
          covered: [...requiredComponents('/documents', 'POST'), ['"content-digest"', digest]],
        });
      const documents = () => booted.db.query('SELECT count(*) AS n FROM documents');

      it('needs a covered digest of an active algorithm, and every digest must match', async () => {
        const before = [await documents(), await nonces()];
        const wrong = contentDigest(Buffer.from('{}'));
        const good = contentDigest(Buffer.from(body));
        const md5 = `md5=:${createHash('md5').update(body).digest('base64')}:`;
        const sha1 = `sha=:${createHash('sha1').update(body).digest('base64')}:`;
        const wrong512 = `sha-512=:${createHash('sha512').update('{}').digest('base64')}:`;
        for (const digest of [
          wrong,
          md5,
          sha1,
          `${good}, ${md5}`,
          `${good}, ${wrong512}`,
          'x=:AA==:',
          'sha-256=:AA==:',
          '',
        ])
          expectInvalid(await post({ ...covering(digest), 'Content-Digest': digest }));
        expectInvalid(await post(craft(machine, { covered: requiredComponents('/documents', 'POST') })));
        expectInvalid(
          await post({
            ...craft(machine, { covered: requiredComponents('/documents', 'POST') }),
            'Content-Digest': good,
          }),
        );
        expectInvalid(await post(covering(good)));
        expect([await documents(), await nonces()]).toEqual(before);
        expect((await post({ ...covering(good), 'Content-Digest': good })).status).toBe(201);
      });

      it('is rejected if it differs from the signed one', async () => {
        const before = [await documents(), await nonces()];
        const good = contentDigest(Buffer.from(body));
        const fields = { ...covering(good), 'Content-Digest': good };
        for (const sent of ['{"title":"changed"}', `${body} `, '{}']) expectInvalid(await post(fields, sent));
        const other = contentDigest(Buffer.from('{"title":"changed"}'));
        expectInvalid(await post({ ...fields, 'Content-Digest': other }, '{"title":"changed"}'));
        expect([await documents(), await nonces()]).toEqual(before);
        expect((await post(fields)).status).toBe(201);
      });

      it('is rejected if the signature is for a request without a body', async () => {
        const fields = craft(machine, { covered: requiredComponents('/signed', 'POST') });
        const chunked = await client(booted.origin).raw(
          'POST /signed HTTP/1.1',
          `Host: ${host}`,
          'Connection: close',
          'Content-Type: application/json',
          'Transfer-Encoding: chunked',
          ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
          '',
          '2',
          '{}',
          '0',
          '',
        );
        expect(chunked).toMatch(/^HTTP\/1\.1 401 [^]*"invalid_http_signature"/);
        const none = craft(machine, { covered: requiredComponents('/signed', 'POST') });
        expect((await client(booted.origin).send('POST', '/signed', { headers: none })).status).toBe(201);
      });

      it('may be absent, but then a digest must match the empty body', async () => {
        await expectAllRejected({ ...craft(machine), 'Content-Digest': contentDigest(Buffer.from('x')) });
        expect(
          (await send({ ...craft(machine), 'Content-Digest': contentDigest(Buffer.alloc(0)) })).status,
        ).toBe(200);
      });
    });

    it('rejects @status and undefined components in a request', async () => {
      await expectAllRejected(
        ...['"@status"', '"@user"', '"@signature-params"', '"@path";x', '"@constructor"'].map((identifier) =>
          craft(machine, { covered: [...requiredComponents(), [identifier, '200']] }),
        ),
      );
    });

    it('rejects missing, duplicate and parameterized required components', async () => {
      const all = requiredComponents();
      await expectAllRejected(
        craft(machine, { covered: [] }),
        ...all.map((_, i) => craft(machine, { covered: all.toSpliced(i, 1) })),
        craft(machine, { covered: [...all, all[0]!] }),
        craft(machine, { covered: [['"@method";req', 'GET'], ...all.slice(1)] }),
      );
    });

    describe('the work before the key is known', () => {
      const parameter = (i: number) => [`"@query-param";name="p${i}"`, `${i}`] as const;
      const query = (count: number) => `?${Array.from({ length: count }, (_, i) => `p${i}=${i}`).join('&')}`;
      /** Covers some of the parameters of a query. */
      const covering = (covered: number, queried = covered) => {
        const required = requiredComponents().with(3, ['"@query"', query(queried)]);
        const parameters = Array.from({ length: covered }, (_, i) => parameter(i));
        return send(craft(machine, { covered: [...required, ...parameters] }), DEMO + query(queried));
      };

      it('accepts at most 16 components', async () => {
        expect((await covering(12)).status).toBe(200);
        expectInvalid(await covering(13));
        expectInvalid(await covering(200));
      });

      it('reads a query parameter only from a query of at most 100', async () => {
        expect((await covering(1, 100)).status).toBe(200);
        expectInvalid(await covering(1, 101));
        expect((await covering(0, 101)).status).toBe(200);
      });

      it('accepts at most eight signatures, in one header line or in several', async () => {
        const others = (count: number) =>
          Array.from({ length: count }, (_, i) =>
            craft(machine, { label: `p${i}`, changes: { tag: '"p"' } }),
          );
        const together = (count: number) => {
          const all = [craft(machine), ...others(count - 1)];
          const join = (name: keyof (typeof all)[number]) => all.map((each) => each[name]).join(', ');
          return { 'Signature-Input': join('Signature-Input'), Signature: join('Signature') };
        };
        expect((await send(together(8))).status).toBe(200);
        expectInvalid(await send(together(9)));
        const lines = Object.entries(together(8)).flatMap(([name, value]) =>
          value.split(', ').map((member) => `${name}: ${member}`),
        );
        const raw = (...more: string[]) =>
          client(booted.origin).raw(
            `GET ${DEMO} HTTP/1.1`,
            `Host: ${host}`,
            'Connection: close',
            ...more,
            '',
          );
        expect(await raw(...lines)).toMatch(/^HTTP\/1\.1 200 /);
        expect(await raw(...lines, 'Signature: ')).toMatch(/^HTTP\/1\.1 401 /);
      });

      it('rejects headers of more than 4 KiB, all lines together', async () => {
        const own = craft(machine);
        const padding = (length: number) => `, p=:${'A'.repeat(length)}:`;
        const room = 4096 - own.Signature.length - padding(0).length;
        const longer = (length: number) =>
          send({
            'Signature-Input': `${own['Signature-Input']}, p=()`,
            Signature: own.Signature + padding(length),
          });
        expectInvalid(await longer(room + 4));
        expect((await longer(room - (room % 4))).status).toBe(200);
      });
    });

    it('rejects the signature for another method, path, query, host or header', async () => {
      const before = await nonces();
      const path = '/documents';
      const fields = craft(machine, { covered: [...requiredComponents(path), ['"x-plan"', 'a']] });
      const { get, post } = client(booted.origin, { ...fields, 'X-Plan': 'a' });
      expectInvalid(await post(path));
      expectInvalid(await get('/me'));
      expectInvalid(await get(`${path}?a`));
      expectInvalid(await get(path, { 'X-Plan': 'b' }));
      const elsewhere = await client(booted.origin).raw(
        `GET ${path} HTTP/1.1`,
        'Host: evil.test',
        'Connection: close',
        'X-Plan: a',
        ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
        '',
      );
      expect(elsewhere).toMatch(/^HTTP\/1\.1 401 /);
      expect(await nonces()).toBe(before);
      expect((await get(path)).status).toBe(200);
    });

    it('rejects reordered and folded header lines', async () => {
      const covered: Covered = [...requiredComponents(), ['"accept"', 'application/json, */*']];
      const callRoute = (...accept: string[]) =>
        client(booted.origin).raw(
          `GET ${DEMO} HTTP/1.1`,
          `Host: ${host}`,
          'Connection: close',
          ...Object.entries(craft(machine, { covered })).map(([name, value]) => `${name}: ${value}`),
          ...accept,
          '',
        );
      expect(await callRoute('Accept: application/json', 'Accept: */*')).toMatch(/^HTTP\/1\.1 200 /);
      expect(await callRoute('Accept: application/json, */*')).toMatch(/^HTTP\/1\.1 200 /);
      expect(await callRoute('Accept: */*', 'Accept: application/json')).toMatch(/^HTTP\/1\.1 401 /);
      expect(await callRoute('Accept: application/json,', ' */*')).toMatch(/^HTTP\/1\.1 400 /);
    });

    it('rejects unknown and invalid component parameters', async () => {
      const priority = { Priority: 'u=1,   i' };
      const covering = (identifier: string, value: string) => ({
        ...craft(machine, { covered: [...requiredComponents(), [identifier, value]] }),
        ...priority,
      });
      for (const [identifier, value] of [
        ['"priority"', 'u=1,   i'],
        ['"priority";sf', 'u=1, i'],
        ['"priority";key="u"', '1'],
        ['"priority";bs', `:${Buffer.from('u=1,   i').toString('base64')}:`],
      ] as const)
        expect((await send(covering(identifier, value))).status).toBe(200);
      await expectAllRejected(
        covering('"priority";key="z"', ''),
        covering('"priority";tr', 'u=1,   i'),
        covering('"priority";req', 'u=1,   i'),
        covering('"priority";bs;sf', 'u=1, i'),
        covering('"priority";sf=?0', 'u=1,   i'),
        covering('"priority";new', 'u=1,   i'),
        covering('"accept-language";sf', '*'),
        covering('"Priority"', 'u=1,   i'),
        covering('"x-absent"', ''),
      );
    });

    it('rejects other spellings of a signature, and ECDSA in DER', async () => {
      const own = craft(machine);
      const bytes = Buffer.from(own.Signature.slice(5, -1), 'base64');
      const withSignature = (text: string) => ({ ...own, Signature: `sig=:${text}:` });
      const base64 = bytes.toString('base64');
      await expectAllRejected(
        withSignature(`${base64.slice(0, 40)} ${base64.slice(40)}`),
        withSignature(base64.slice(0, -2)),
        withSignature(bytes.toString('base64url')),
        withSignature(`${base64}=`),
        withSignature(Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64')),
        withSignature(bytes.subarray(1).toString('base64')),
        withSignature(''),
      );
      const signer = await createSignatureKey(booted, 'bob', p256);
      const input = `("@method" "@authority" "@path" "@query")${parametersOf(signer)}`;
      const base = `${requiredComponents()
        .map(([name, value]) => `${name}: ${value}\n`)
        .join('')}"@signature-params": ${input}`;
      const der = createSign('sha256').update(base).sign(p256.privateKey);
      await expectAllRejected({
        'Signature-Input': `sig=${input}`,
        Signature: `sig=:${der.toString('base64')}:`,
      });
    });

    it('accepts either valid form of an ECDSA signature, but its nonce only once', async () => {
      const signer = await createSignatureKey(booted, 'bob', p256);
      const own = craft(signer, { algorithm: 'ecdsa-p256-sha256' });
      const bytes = Buffer.from(own.Signature.slice(5, -1), 'base64');
      const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
      const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
      const mirrored = Buffer.concat([
        bytes.subarray(0, 32),
        Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
      ]);
      const other = { ...own, Signature: `sig=:${mirrored.toString('base64')}:` };
      expect((await send(other)).status).toBe(200);
      await expectAllRejected(own, other);
    });

    it('takes the algorithm from the key and rejects another alg', async () => {
      await expectAllRejected(
        craft(machine, { changes: { alg: '"ecdsa-p256-sha256"' } }),
        craft(machine, { changes: { alg: '"hmac-sha256"' } }),
        craft(machine, { changes: { alg: '"none"' } }),
        craft(machine, { changes: { alg: '""' } }),
      );
      expect((await send(craft(machine, { changes: { alg: '"ed25519"' } }))).status).toBe(200);
      // RSA keys are for PSS only.
      const signer = await createSignatureKey(booted, 'bob', rsa);
      await expectAllRejected(
        craft(signer, { algorithm: 'rsa-v1_5-sha256' }),
        craft(signer, { algorithm: 'rsa-v1_5-sha256', changes: { alg: '"rsa-v1_5-sha256"' } }),
      );
      expect((await send(craft(signer, { algorithm: 'rsa-pss-sha512' }))).status).toBe(200);
    });

    it('rejects another Client-Cert than the signed one', async () => {
      const covered: Covered = [...requiredComponents(), ['"client-cert"', ':AAAA:']];
      expect((await send({ ...craft(machine, { covered }), 'Client-Cert': ':AAAA:' })).status).toBe(200);
      await expectAllRejected(
        { ...craft(machine, { covered }), 'Client-Cert': ':AAAB:' },
        craft(machine, { covered }),
      );
    });

    it('rejects a key that was not proved', async () => {
      const signer = await createSignatureKey(booted, 'bob', undefined, { provedAt: null });
      await expectAllRejected(craft(signer));
    });

    it('hides the keys of other accounts', async () => {
      const { keyid } = await createSignatureKey(booted, 'bob');
      for (const other of [
        as({ id: 'carol' }),
        as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }),
      ]) {
        const who = client(booted.origin, other);
        expect((await who.send('DELETE', `/signature-keys/${keyid}`)).body.code).toBe('not_found');
        expect(JSON.stringify((await who.get('/signature-keys')).body)).not.toContain(keyid);
      }
      expect((await row(keyid)).revokedAt).toBe(null);
    });

    it('responds 503 if used nonces cannot be stored', async () => {
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const response = await send(craft(machine));
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expect([response.status, response.body.code]).toEqual([503, 'service_unavailable']);
    });

    it('verifies a signature with an unknown keyid against a dummy key', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const strategy = booted.app.get(HttpSignatureStrategy);
      const before = Object.getOwnPropertyDescriptor(strategy, 'dummyKey')!;
      let verified = 0;
      Object.defineProperty(strategy, 'dummyKey', { configurable: true, get: () => (verified++, publicKey) });
      await expectAllRejected(craft({ keyid: randomUUID(), key: privateKey }));
      Object.defineProperty(strategy, 'dummyKey', before);
      expect(verified).toBe(1);
    });

    it('rejects a covered host that is not PUBLIC_URL in production', async () => {
      const production = await boot({
        env: {
          NODE_ENV: 'production',
          APP_SECRET: RANDOM_SECRET,
          PUBLIC_URL: 'https://api.atlas.test',
        },
        logTo: { write: () => {} },
      });
      const { manager } = production.db;
      await manager.insert(Tenant, { id: 'acme', name: 'Acme' });
      await manager.insert(User, {
        id: 'bob',
        tenantId: 'acme',
        username: 'bob',
        kind: 'user',
        roles: ['editor'],
        disabledAt: null,
        epoch: 0,
      });
      const signer = await createSignatureKey(production, 'bob');
      const callRoute = async (authority: string) => {
        const covered: Covered = requiredComponents().map(([name, value]) => [
          name,
          name === '"@authority"' ? authority : value,
        ]);
        const response = await client(production.origin).raw(
          `GET ${DEMO} HTTP/1.1`,
          `Host: ${authority}`,
          'Connection: close',
          ...Object.entries(craft(signer, { covered })).map(([name, value]) => `${name}: ${value}`),
          '',
        );
        return response.slice(9, 12);
      };
      expect([
        await callRoute('api.atlas.test'),
        await callRoute('evil.test'),
        await callRoute('localhost'),
      ]).toEqual(['200', '401', '401']);
      // The scheme is that of PUBLIC_URL: this server sits behind a proxy, which need not forward it.
      const statusOf = async (scheme: string, ...forwarded: string[]) => {
        const authority = 'api.atlas.test';
        const covered: Covered = [
          ['"@method"', 'GET'],
          ['"@target-uri"', `${scheme}://${authority}${DEMO}`],
        ];
        const response = await client(production.origin).raw(
          `GET ${DEMO} HTTP/1.1`,
          `Host: ${authority}`,
          'Connection: close',
          ...Object.entries(craft(signer, { covered })).map(([name, value]) => `${name}: ${value}`),
          ...forwarded,
          '',
        );
        return response.slice(9, 12);
      };
      expect([
        await statusOf('https'),
        await statusOf('http'),
        await statusOf('http', 'X-Forwarded-Proto: http'),
      ]).toEqual(['200', '401', '401']);
      await production.close();
    });
  });
});
