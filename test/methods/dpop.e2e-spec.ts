import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { randomUUID, type KeyObject } from 'node:crypto';
import { AccessToken } from '../../src/access-tokens/access-token.entity.js';
import { Settings } from '../../src/config/settings.js';
import { ReplayStore, UsedValue } from '../../src/crypto/replay-store.service.js';
import { DpopClient } from '../../src/methods/dpop/dpop.client.js';
import { dpopNonces } from '../../src/methods/dpop/dpop.strategy.js';
import { Tenant, User } from '../../src/users/user.entity.js';
import { issueAccessToken, type TokenOptions } from '../support/access-tokens.js';
import { RANDOM_SECRET, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { boundToken, contract, newKey, thumbprintOf } from './dpop.contract.js';
import { ALGORITHMS, forgeProof, withSecondSignature, publicJwk, type Forgery } from './dpop.forge.js';

satisfiesTheContract(contract);

const DEMO = '/demo/dpop';
const PROOF = 'invalid_dpop_proof';
const TOKEN = 'invalid_token';
const NONCE = 'use_dpop_nonce';

interface Holder {
  readonly token: string;
  readonly key: KeyObject;
}

const nonceOf = ({ app }: Pick<Booted, 'app'>, at?: number) => dpopNonces(app.get(Settings)).issue(at);
/** Starts another application and closes it after `run`. */
async function withApplication(
  options: Parameters<typeof boot>[0],
  run: (other: Booted) => Promise<void>,
): Promise<void> {
  const other = await boot(options);
  await run(other).finally(() => other.close());
}
const withProof = (token: string, proof: string) => ({ Authorization: `DPoP ${token}`, DPoP: proof });

describe('dpop', () => {
  let booted: Booted;
  let bob: Holder;
  beforeAll(async () => {
    booted = await boot();
    bob = await boundToken(booted, 'bob');
  });
  afterAll(() => booted.close());

  /** Creates a proof for the demo route that is valid except for the given parts. */
  const proofOf = ({ token, key }: Holder, { claims, ...others }: Partial<Forgery> = {}) =>
    forgeProof({
      key,
      accessToken: token,
      claims: { htu: booted.origin + DEMO, nonce: nonceOf(booted), ...claims },
      ...others,
    });
  const send = (headers: Record<string, string>, path = DEMO) => client(booted.origin).get(path, headers);
  const callDemo = (holder: Holder, forgery: Partial<Forgery> = {}) =>
    send(withProof(holder.token, proofOf(holder, forgery)));
  const used = () => booted.db.manager.count(UsedValue);

  /** Expects a 401 with the code and a new nonce, and that no proof was stored as used. */
  const expectRejected = async (call: () => Promise<TestResponse>, code: string) => {
    const before = await used();
    const response = await call();
    expect([response.status, response.body.code]).toEqual([401, code]);
    expect(response.headers.get('www-authenticate')).toBe(
      `DPoP realm="auth-atlas", algs="ES256 Ed25519 EdDSA PS256", resource_metadata="http://localhost:0/.well-known/oauth-protected-resource", error="${code}"`,
    );
    expect(response.headers.get('dpop-nonce')).toMatch(/^[\w.-]{57}$/);
    expect(await used()).toBe(before);
    return response;
  };

  describe('a client', () => {
    it('receives a nonce and succeeds with it', async () => {
      const first = await expectRejected(() => callDemo(bob, { claims: { nonce: undefined } }), NONCE);
      const nonce = first.headers.get('dpop-nonce');
      expect(await callDemo(bob, { claims: { nonce } })).toMatchObject({ status: 200, body: { id: 'bob' } });
    });

    it('of ours fetches the nonce itself, and then needs one request per call', async () => {
      const dpop = new DpopClient(bob.key, bob.token);
      const before = await used();
      for (let i = 0; i < 3; i++)
        expect((await dpop.fetch(new Request(booted.origin + DEMO))).status).toBe(200);
      expect(await used()).toBe(before + 3);
    });

    it('repeats the body in the second request', async () => {
      const dpop = new DpopClient(bob.key, bob.token);
      const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"title":"x"}' };
      const response = await dpop.fetch(new Request(`${booted.origin}/documents?`, init));
      expect([response.status, await response.json()]).toMatchObject([201, { title: 'x', ownerId: 'bob' }]);
    });

    it('receives the next nonce with any response after half the lifetime', async () => {
      const [young, old] = [nonceOf(booted, Date.now() - 50_000), nonceOf(booted, Date.now() - 70_000)];
      const get = (path: string, nonce: string) =>
        send(withProof(bob.token, proofOf(bob, { claims: { nonce, htu: booted.origin + path } })), path);
      const responses = [await get(DEMO, young), await get(DEMO, old), await get('/documents/none', old)];
      expect(responses.map(({ status, headers }) => [status, headers.has('dpop-nonce')])).toEqual([
        [200, false],
        [200, true],
        [404, true],
      ]);
      const nonce = responses[1]!.headers.get('dpop-nonce')!;
      expect((await get(DEMO, nonce)).headers.has('dpop-nonce')).toBe(false);
    });

    it('with an insufficient token receives the DPoP challenge that names the requirement', async () => {
      const alice = await boundToken(booted, 'alice', { scope: 'documents:read documents:delete' });
      const at = Date.now() - 70_000;
      const call = async (method: string, path: string) => {
        const claims = { htm: method, htu: booted.origin + path, nonce: nonceOf(booted, at) };
        const headers = withProof(alice.token, proofOf(alice, { claims }));
        return client(booted.origin).send(method, path, { headers: { ...headers, 'If-Match': '"1"' } });
      };
      const create = await call('POST', '/documents');
      expect([create.status, create.body.code]).toEqual([403, 'insufficient_scope']);
      expect(create.headers.get('www-authenticate')).toMatch(
        /^DPoP .*, error="insufficient_scope", scope="documents:write"$/,
      );
      const end = await call('DELETE', '/documents/alice-draft-confidential');
      expect([end.status, end.body.code]).toEqual([401, 'insufficient_user_authentication']);
      expect(end.headers.get('www-authenticate')).toMatch(
        /^DPoP .*, error="insufficient_user_authentication", acr_values="mfa", max_age="300"$/,
      );
      for (const { headers } of [create, end]) expect(headers.get('dpop-nonce')).toMatch(/^[\w.-]{57}$/);
    });

    it('without a credential receives a nonce and finds the algorithms', async () => {
      const response = await send({});
      expect([response.status, response.body.code]).toEqual([401, 'unauthenticated']);
      const nonce = response.headers.get('dpop-nonce');
      expect((await callDemo(bob, { claims: { nonce } })).status).toBe(200);
      const { body } = await client(booted.origin).get('/.well-known/oauth-protected-resource');
      expect(body.dpop_signing_alg_values_supported).toEqual(['ES256', 'Ed25519', 'EdDSA', 'PS256']);
    });
  });

  describe('other client libraries', () => {
    const url = () => new URL(`${booted.origin}${DEMO}?a=1`);
    /** Issues a token that is bound to the key of the handle. */
    const tokenFor = async (handle: oauth.DPoPHandle) => {
      const cnf = { jkt: await handle.calculateThumbprint() };
      return (await issueAccessToken(booted, 'bob', { cnf })).token;
    };

    it.each(['ES256', 'Ed25519', 'PS256'])('oauth4webapi signs with %s', async (alg) => {
      const DPoP = oauth.DPoP({}, await oauth.generateKeyPair(alg));
      const token = await tokenFor(DPoP);
      const call = () =>
        oauth.protectedResourceRequest(token, 'GET', url(), undefined, null, {
          DPoP,
          [oauth.allowInsecureRequests]: true,
        });
      const error: unknown = await call().catch((reason: unknown) => reason);
      expect(oauth.isDPoPNonceError(error)).toBe(true);
      expect(await (await call()).json()).toMatchObject({ id: 'bob', proofs: [{ bound: true }] });
    });

    it('openid-client repeats the request with the nonce', async () => {
      const config = new openid.Configuration({ issuer: booted.origin }, 'web');
      openid.allowInsecureRequests(config);
      const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
      const token = await tokenFor(DPoP);
      const get = () => openid.fetchProtectedResource(config, token, url(), 'GET', null, undefined, { DPoP });
      expect((await get()).status).toBe(200);
      expect((await get()).status).toBe(200);
    });
  });

  describe('a token', () => {
    it.each(['ES256', 'Ed25519', 'EdDSA', 'PS256'] as const)('may be bound to an %s key', async (kind) => {
      const { key } = ALGORITHMS[kind];
      const { token } = await boundToken(booted, 'bob', { cnf: { jkt: thumbprintOf(key, kind) } });
      expect((await callDemo({ token, key }, { kind })).body).toMatchObject({ id: 'bob' });
    });

    it.each(['jwt', 'opaque'] as const)('may have the format %s', async (format) => {
      const holder = await boundToken(booted, 'bob', { format, scope: 'documents:read', clientId: 'spa' });
      const { body } = await callDemo(holder);
      expect(body).toMatchObject({
        id: 'bob',
        scopes: ['documents:read'],
        proofs: [{ method: 'dpop', credentialId: holder.id, client: 'spa', bound: true }],
      });
    });
  });

  describe('attacks', () => {
    const rejects = (forgery: Partial<Forgery>, code = PROOF) =>
      expectRejected(() => callDemo(bob, forgery), code);
    const bare = (...lines: string[]) =>
      client(booted.origin).raw(`GET ${DEMO} HTTP/1.1`, 'Connection: close', ...lines, '');

    it('rejects a bound token without a proof', async () => {
      await expectRejected(() => send({ Authorization: `DPoP ${bob.token}` }), PROOF);
      await expectRejected(() => send(withProof(bob.token, '')), PROOF);
    });

    it('rejects a bound token with the Bearer scheme', async () => {
      for (const proof of [undefined, proofOf(bob)]) {
        const headers = { Authorization: `Bearer ${bob.token}`, ...(proof && { DPoP: proof }) };
        for (const path of [DEMO, '/me']) expect((await send(headers, path)).status).toBe(401);
        expect((await send(headers, '/me')).body.code).toBe(TOKEN);
      }
      expect((await send({ DPoP: proofOf(bob) })).body.code).toBe('unauthenticated');
    });

    it.each<[string, TokenOptions]>([
      ['not bound', { claims: { cnf: undefined } }],
      ['bound to a certificate', { cnf: { 'x5t#S256': 'A'.repeat(43) } }],
      ['not bound and opaque', { cnf: {}, format: 'opaque' }],
    ])('rejects a token that is %s, even with a valid proof', async (_, options) => {
      const holder = await boundToken(booted, 'bob', options);
      await expectRejected(() => callDemo(holder), TOKEN);
    });

    it('rejects two Authorization headers in either order', async () => {
      const { token } = await issueAccessToken(booted, 'bob');
      const two = [`Authorization: Bearer ${token}`, `Authorization: DPoP ${bob.token}`];
      for (const lines of [two, two.toReversed()]) {
        const response = await bare('Host: localhost', ...lines, `DPoP: ${proofOf(bob)}`);
        expect(response).toMatch(/^HTTP\/1\.1 400 [\s\S]*"duplicate_header"/);
      }
      await expectRejected(() => send(withProof(`${bob.token}, Bearer ${token}`, proofOf(bob))), TOKEN);
    });

    it('rejects two proofs, in two headers or in one', async () => {
      const proofs = [proofOf(bob), proofOf(bob)];
      const lines = proofs.map((proof) => `DPoP: ${proof}`);
      const host = `Host: ${new URL(booted.origin).host}`;
      const response = await bare(host, `Authorization: DPoP ${bob.token}`, ...lines);
      expect(response).toMatch(/^HTTP\/1\.1 400 [\s\S]*"duplicate_header"/);
      for (const joint of [', ', ',', ' '])
        await expectRejected(() => send(withProof(bob.token, proofs.join(joint))), PROOF);
      expect((await send(withProof(bob.token, proofs[0]!))).status).toBe(200);
    });

    it('accepts a proof once, in any spelling', async () => {
      const proof = proofOf(bob);
      expect((await send(withProof(bob.token, proof))).status).toBe(200);
      await expectRejected(() => send(withProof(bob.token, proof)), PROOF);
      // The same payload with the second valid ECDSA signature.
      await expectRejected(() => send(withProof(bob.token, withSecondSignature(proof))), PROOF);
      const last = String.fromCharCode(proof.charCodeAt(proof.length - 1) + 1);
      for (const text of [`${proof}=`, `${proof}==`, `${proof} `, proof.slice(0, -1) + last, `${proof}.`])
        await expectRejected(() => send(withProof(bob.token, text)), PROOF);
    });

    it('accepts one of twenty concurrent requests with the same proof', async () => {
      const headers = withProof(bob.token, proofOf(bob));
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => (await send(headers)).status),
      );
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
    });

    it('accepts one of several concurrent requests to two processes', async () => {
      const processes = await startProcesses(2);
      try {
        const { token, key } = await boundToken(processes, 'bob');
        const { publicUrl } = processes.app.get(Settings);
        const make = () => {
          const claims = { htu: publicUrl + DEMO, nonce: nonceOf(processes) };
          return Promise.resolve(forgeProof({ key, accessToken: token, claims }));
        };
        const use = async (origin: string, proof: string) =>
          (await client(origin).get(DEMO, withProof(token, proof))).status === 200;
        expect(await race({ origins: processes.origins, rounds: 50, parallel: 10, make, use })).toEqual([]);
      } finally {
        await processes.stop();
      }
    });

    it('responds 503 if used proofs cannot be stored, and the proof stays valid', async () => {
      const headers = withProof(bob.token, proofOf(bob));
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const response = await send(headers);
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expect([response.status, response.body.code]).toEqual([503, 'service_unavailable']);
      expect((await send(headers)).status).toBe(200);
    });

    it('a jti can be used up only with its own key', async () => {
      const jti = randomUUID();
      const stranger = newKey();
      await rejects({ key: stranger, claims: { jti } }, TOKEN);
      await rejects({ key: stranger, header: { jwk: publicJwk(bob.key) }, claims: { jti } });
      const mallory = await boundToken(booted, 'mallory');
      expect((await callDemo(mallory, { claims: { jti } })).status).toBe(200);
      expect((await callDemo(bob, { claims: { jti } })).status).toBe(200);
      await rejects({ claims: { jti } });
    });

    it('stores each jti in constant space, until five minutes after its nonce expires, and only after verification', async () => {
      await booted.db.manager.clear(UsedValue);
      const nonce = nonceOf(booted, Date.now() - 60_000);
      for (const jti of ['j', 'j'.repeat(255), '\u{1f511}'.repeat(60)])
        expect((await callDemo(bob, { claims: { jti, nonce } })).status).toBe(200);
      await rejects({ claims: { jti: 'j'.repeat(256) } });
      await rejects({ claims: { jti: 'j'.repeat(6_000) } });
      for (let i = 0; i < 50; i++) await rejects({ signature: 'AA' });
      const rows = await booted.db.manager.find(UsedValue);
      expect(rows.map(({ digest }) => digest.length)).toEqual([43, 43, 43]);
      const soon = Date.now() / 1000 + 60 + 300;
      for (const { until } of rows) expect(Math.abs(until - soon)).toBeLessThan(20);
      const response = await bare('Host: localhost', `DPoP: ${'j'.repeat(1_000_000)}`);
      expect(response).toMatch(/^HTTP\/1\.1 431 /);
      for (const { digest } of rows) await booted.db.manager.update(UsedValue, { digest }, { until: 1 });
      await booted.app.get(ReplayStore).cleanUp();
      expect(await used()).toBe(0);
    });

    describe('the target URI', () => {
      const at = (htu: string) =>
        callDemo(bob, { claims: { htu: htu.replace('PORT', new URL(booted.origin).port) } });

      it.each([
        'http://127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:PORT/demo/dpop?query=ignored',
        'http://127.0.0.1:PORT/demo/dpop#fragment',
        'HTTP://127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:PORT/x/../demo/./dpop',
        'http://127.0.0.1:PORT/x/%2e%2e/demo/%64pop',
        'http://localhost:0/demo/dpop',
      ])('accepts %j', async (htu) => {
        expect((await at(htu)).status).toBe(200);
      });

      it.each([
        'http://127.0.0.1:PORT/demo/dpop/',
        'http://127.0.0.1:PORT',
        'http://127.0.0.1:PORT/me',
        'http://127.0.0.1:PORT/Demo/dpop',
        'http://127.0.0.1:PORT/demo%2Fdpop',
        'http://127.0.0.1:PORT//demo/dpop',
        'https://127.0.0.1:PORT/demo/dpop',
        'http://localhost:PORT/demo/dpop',
        'http://127.1:PORT/demo/dpop',
        'http://user@127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:3000/demo/dpop',
        'http://127.0.0.1/demo/dpop',
        'http://attacker.example/demo/dpop',
        '//127.0.0.1:PORT/demo/dpop',
        '/demo/dpop',
        ' http://127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:PORT/demo/dpop\n',
      ])('rejects %j', async (htu) => {
        await expectRejected(() => at(htu), PROOF);
      });

      const raw = async (target: string, host: string, htu: string, ...lines: string[]) => {
        const proof = proofOf(bob, { claims: { htu } });
        const response = await client(booted.origin).raw(
          `GET ${target} HTTP/1.1`,
          `Host: ${host}`,
          'Connection: close',
          `Authorization: DPoP ${bob.token}`,
          `DPoP: ${proof}`,
          ...lines,
          '',
        );
        return `${response.slice(9, 12)} ${/"code":"(\w+)"/.exec(response)?.[1] ?? ''}`.trim();
      };

      it('is compared with Host, ignoring case and a default port', async () => {
        const htu = `http://localhost${DEMO}`;
        for (const host of ['localhost', 'LOCALHOST', 'localhost:80'])
          expect([host, await raw(DEMO, host, htu)]).toEqual([host, '200']);
        for (const host of ['localhost.', 'localhost:8080', 'localhost:443'])
          expect([host, await raw(DEMO, host, htu)]).toEqual([host, `401 ${PROOF}`]);
      });

      it('is compared without its query', async () => {
        for (const query of ['?', '?a=1', `?a=${'1'.repeat(10_000)}`, '?a=[1]{2}|3'])
          expect(await raw(DEMO + query, 'localhost', `http://localhost${DEMO}`)).toBe('200');
      });

      it('is rejected in absolute form or with ambiguous encoding', async () => {
        const htu = `http://localhost${DEMO}`;
        for (const target of [htu, `http://attacker.example${DEMO}`, '/demo/%64pop', '/x/%2e%2e/demo/dpop'])
          expect([target, await raw(target, 'localhost', htu)]).toEqual([target, '400 invalid_target']);
        expect(await raw('/x/../demo/dpop', 'localhost', htu)).toBe('404 not_found');
      });

      it('must be called with the method of the proof', async () => {
        await rejects({ claims: { htm: 'POST' } });
        await rejects({ claims: { htm: 'get' } });
      });

      it('ignores forwarded headers from an untrusted peer', async () => {
        const htu = `https://api.example.com${DEMO}`;
        const forwarded = [
          'X-Forwarded-Proto: https',
          'X-Forwarded-Host: api.example.com',
          'X-Forwarded-Port: 443',
          'Forwarded: proto=https;host=api.example.com',
        ];
        expect(await raw(DEMO, 'localhost', htu, ...forwarded)).toBe(`401 ${PROOF}`);
        const tls = `https://localhost${DEMO}`;
        expect(await raw(DEMO, 'localhost', tls, ...forwarded)).toBe(`401 ${PROOF}`);
      });
    });

    it('accepts the scheme, but not the host, that a trusted proxy forwards', async () => {
      await withApplication({ env: { TRUST_PROXY: '127.0.0.1' } }, async (behind) => {
        const { token, key } = await boundToken(behind, 'bob');
        const call = async (htu: string) => {
          const proof = forgeProof({ key, accessToken: token, claims: { htu, nonce: nonceOf(behind) } });
          const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'api.example.com' };
          return (await client(behind.origin).get(DEMO, { ...headers, ...withProof(token, proof) })).status;
        };
        expect(await call(behind.origin.replace('http:', 'https:') + DEMO)).toBe(200);
        expect(await call(`https://api.example.com${DEMO}`)).toBe(401);
        expect(await call(behind.origin + DEMO)).toBe(401);
      });
    });

    it('accepts only PUBLIC_URL in production', async () => {
      const PUBLIC_URL = 'https://api.atlas.test';
      const APP_SECRET = RANDOM_SECRET;
      const env = { NODE_ENV: 'production', APP_SECRET, PUBLIC_URL };
      await withApplication({ env, logTo: { write: () => {} } }, async (production) => {
        const { manager } = production.db;
        await manager.insert(Tenant, { id: 'acme', name: 'Acme' });
        const account = { id: 'bob', tenantId: 'acme', username: 'bob', kind: 'user' } as const;
        await manager.insert(User, { ...account, roles: ['editor'], disabledAt: null, epoch: 0 });
        const { token, key } = await boundToken(production, 'bob');
        const call = async (host: string, origin: string) => {
          const claims = { htu: origin + DEMO, nonce: nonceOf(production) };
          const proof = forgeProof({ key, accessToken: token, claims });
          const response = await client(production.origin).raw(
            `GET ${DEMO} HTTP/1.1`,
            `Host: ${host}`,
            'Connection: close',
            `Authorization: DPoP ${token}`,
            `DPoP: ${proof}`,
            '',
          );
          return response.slice(9, 12);
        };
        expect(await call('api.atlas.test', PUBLIC_URL)).toBe('200');
        expect(await call('api.atlas.test', 'https://API.atlas.test:443')).toBe('200');
        expect(await call('api.atlas.test', 'http://api.atlas.test')).toBe('401');
        expect(await call('evil.test', 'http://evil.test')).toBe('401');
        expect(await call('evil.test', 'https://evil.test')).toBe('401');
      });
    });

    it('rejects a proof whose iat is too far from the current time', async () => {
      const iat = Math.floor(Date.now() / 1000);
      for (const seconds of [-310, 310]) await rejects({ claims: { iat: iat + seconds } });
      await rejects({ claims: { iat: undefined } });
      expect((await callDemo(bob, { claims: { iat: iat - 200 } })).status).toBe(200);
    });

    it('checks exp and nbf if they are present', async () => {
      const now = Math.floor(Date.now() / 1000);
      for (const claims of [{ exp: now - 1 }, { nbf: now + 310 }, { exp: 'never' }, { nbf: null }])
        await rejects({ claims });
      expect((await callDemo(bob, { claims: { exp: now + 60, nbf: now } })).status).toBe(200);
    });

    it.each(['JWT', 'dpop', 'DPOP+JWT', 'at+jwt', undefined])(
      'rejects the typ %j',
      async (typ) => void (await rejects({ header: { typ } })),
    );

    it('rejects an alg that is none, symmetric or unknown, and a weak key', async () => {
      for (const alg of ['none', 'HS256', 'RS256', 'ES384', 'es256', undefined])
        await rejects({ header: { alg } });
      await rejects({ header: { alg: 'none' }, signature: '' });
      const weak = { kty: 'RSA', n: publicJwk(ALGORITHMS.PS256.key)['n']!.slice(0, 171), e: 'AQAB' };
      for (const alg of ['RS256', 'PS256']) await rejects({ header: { alg, jwk: weak } });
    });

    it('rejects a jwk that is private, symmetric or missing, and a kid', async () => {
      const jwk = publicJwk(bob.key);
      const { d } = bob.key.export({ format: 'jwk' });
      for (const other of [
        { ...jwk, d },
        { kty: 'oct', k: 'c2VjcmV0' },
        { ...jwk, k: 'c2VjcmV0' },
        undefined,
      ])
        await rejects({ header: { jwk: other } });
      await rejects({ header: { kid: 'mine' } });
      await rejects({ header: { jwk: undefined, kid: 'mine' } });
    });

    it('rejects a proof by another key than the one of the token', async () => {
      await rejects({ key: newKey() }, TOKEN);
      await rejects({ key: newKey(), header: { jwk: publicJwk(bob.key) } });
      const { token } = await boundToken(booted, 'alice');
      await expectRejected(() => callDemo({ token, key: bob.key }), TOKEN);
    });

    it('rejects a proof for another access token of the same key, or for none', async () => {
      const other = await boundToken(booted, 'bob', {}, bob.key);
      expect((await callDemo(other)).status).toBe(200);
      await rejects({ accessToken: other.token });
      for (const ath of [undefined, '', bob.token, null]) await rejects({ claims: { ath } });
    });

    it('rejects a nonce that is missing, expired, altered or of another server, and sends a new one', async () => {
      const nonce = nonceOf(booted);
      const foreign = dpopNonces(Settings.from({ PUBLIC_URL: 'https://other.example.com' })).issue();
      const old = nonceOf(booted, Date.now() - 120_000);
      const altered = nonce.slice(0, -1) + (nonce.endsWith('A') ? 'B' : 'A');
      for (const wrongNonce of [undefined, '', old, altered, foreign, nonce.toUpperCase(), `${nonce} `]) {
        const response = await rejects({ claims: { nonce: wrongNonce } }, NONCE);
        const next = response.headers.get('dpop-nonce');
        expect((await callDemo(bob, { claims: { nonce: next } })).status).toBe(200);
      }
      await rejects({ claims: { nonce: [nonce] } });
    });

    it('rejects an access token as a proof, and a proof as an access token', async () => {
      await expectRejected(() => send(withProof(bob.token, bob.token)), PROOF);
      const proof = proofOf(bob);
      await expectRejected(() => send(withProof(proof, proofOf({ token: proof, key: bob.key }))), TOKEN);
      // A proof for a token request.
      await rejects({ claims: { htm: 'POST', htu: `${booted.origin}/oidc/token`, ath: undefined } });
    });

    it('rejects the example proofs of RFC 9449', async () => {
      const head =
        'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
      const payload =
        'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA';
      const jkt = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
      await expectRejected(() => send(withProof(bob.token, `${head}.${payload}`)), TOKEN);
      const { token } = await boundToken(booted, 'bob', { cnf: { jkt } });
      await expectRejected(() => send(withProof(token, `${head}.${payload}`)), PROOF);
    });

    it('does not count a missing nonce as a failed attempt', async () => {
      await withApplication({ env: { RATE_LIMIT_BAD_CREDENTIALS: '3' } }, async (limited) => {
        const { token, key } = await boundToken(limited, 'bob');
        const htu = limited.origin + DEMO;
        const call = (claims: object) =>
          client(limited.origin).get(
            DEMO,
            withProof(token, forgeProof({ key, accessToken: token, claims: { htu, ...claims } })),
          );
        for (let i = 0; i < 10; i++) expect((await call({})).status).toBe(401);
        expect((await call({ nonce: nonceOf(limited) })).status).toBe(200);
        for (let i = 0; i < 10; i++) await call({ htm: 'POST' });
        expect((await call({ nonce: nonceOf(limited) })).status).toBe(429);
      });
    });

    it('rejects a revoked token with a valid proof', async () => {
      const holder = await boundToken(booted, 'bob');
      expect((await callDemo(holder)).status).toBe(200);
      await booted.db.manager.delete(AccessToken, { id: holder.id });
      await expectRejected(() => callDemo(holder), TOKEN);
    });
  });
});
