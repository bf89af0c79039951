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
import { boot, client, type Answer, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { boundToken, contract, newKey, thumbprintOf } from './dpop.contract.js';
import { KINDS, forge, otherSignature, publicJwk, type Forgery } from './dpop.forge.js';

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
/** Another application, for as long as it is needed. */
async function during(
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

  /** A proof for the demo route, good but for what is said otherwise. */
  const proofOf = ({ token, key }: Holder, { claims, ...others }: Partial<Forgery> = {}) =>
    forge({
      key,
      accessToken: token,
      claims: { htu: booted.origin + DEMO, nonce: nonceOf(booted), ...claims },
      ...others,
    });
  const send = (headers: Record<string, string>, path = DEMO) => client(booted.origin).get(path, headers);
  const ask = (holder: Holder, forgery: Partial<Forgery> = {}) =>
    send(withProof(holder.token, proofOf(holder, forgery)));
  const used = () => booted.db.manager.count(UsedValue);

  /** A 401 that says which half was wrong, brings a nonce, and uses nothing up. */
  const refused = async (asking: () => Promise<Answer>, code: string) => {
    const before = await used();
    const answer = await asking();
    expect([answer.status, answer.body.code]).toEqual([401, code]);
    expect(answer.headers.get('www-authenticate')).toBe(
      `DPoP realm="auth-atlas", algs="ES256 Ed25519 EdDSA PS256", resource_metadata="http://localhost:0/.well-known/oauth-protected-resource", error="${code}"`,
    );
    expect(answer.headers.get('dpop-nonce')).toMatch(/^[\w.-]{57}$/);
    expect(await used()).toBe(before);
    return answer;
  };

  describe('a client', () => {
    it('that comes without a nonce is given one, and comes again with it', async () => {
      const first = await refused(() => ask(bob, { claims: { nonce: undefined } }), NONCE);
      const nonce = first.headers.get('dpop-nonce');
      expect(await ask(bob, { claims: { nonce } })).toMatchObject({ status: 200, body: { id: 'bob' } });
    });

    it('of ours does so by itself, and from then on needs one request for each', async () => {
      const dpop = new DpopClient(bob.key, bob.token);
      const before = await used();
      for (let i = 0; i < 3; i++)
        expect((await dpop.fetch(new Request(booted.origin + DEMO))).status).toBe(200);
      expect(await used()).toBe(before + 3);
    });

    it('sends a body again with the second request', async () => {
      const dpop = new DpopClient(bob.key, bob.token);
      const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"title":"x"}' };
      const answer = await dpop.fetch(new Request(`${booted.origin}/documents?`, init));
      expect([answer.status, await answer.json()]).toMatchObject([201, { title: 'x', ownerId: 'bob' }]);
    });

    it('whose nonce grows old is given the next one with the answer, whatever that is', async () => {
      const [young, old] = [nonceOf(booted, Date.now() - 50_000), nonceOf(booted, Date.now() - 70_000)];
      const get = (path: string, nonce: string) =>
        send(withProof(bob.token, proofOf(bob, { claims: { nonce, htu: booted.origin + path } })), path);
      const answers = [await get(DEMO, young), await get(DEMO, old), await get('/documents/none', old)];
      expect(answers.map(({ status, headers }) => [status, headers.has('dpop-nonce')])).toEqual([
        [200, false],
        [200, true],
        [404, true],
      ]);
      const nonce = answers[1]!.headers.get('dpop-nonce')!;
      expect((await get(DEMO, nonce)).headers.has('dpop-nonce')).toBe(false);
    });

    it('whose token is too little is told what would be enough, in the words of this scheme', async () => {
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

    it('without a credential is told all it needs for the next request', async () => {
      const answer = await send({});
      expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated']);
      const nonce = answer.headers.get('dpop-nonce');
      expect((await ask(bob, { claims: { nonce } })).status).toBe(200);
      const { body } = await client(booted.origin).get('/.well-known/oauth-protected-resource');
      expect(body.dpop_signing_alg_values_supported).toEqual(['ES256', 'Ed25519', 'EdDSA', 'PS256']);
    });
  });

  describe('with a library that is not ours', () => {
    const url = () => new URL(`${booted.origin}${DEMO}?a=1`);
    /** A token that is bound to the key of such a handle. */
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
      const asked: unknown = await call().catch((error: unknown) => error);
      expect(oauth.isDPoPNonceError(asked)).toBe(true);
      expect(await (await call()).json()).toMatchObject({ id: 'bob', proofs: [{ bound: true }] });
    });

    it('openid-client comes again by itself', async () => {
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
    it.each(['ES256', 'Ed25519', 'EdDSA', 'PS256'] as const)('may be bound to a key of %s', async (kind) => {
      const { key } = KINDS[kind];
      const { token } = await boundToken(booted, 'bob', { cnf: { jkt: thumbprintOf(key, kind) } });
      expect((await ask({ token, key }, { kind })).body).toMatchObject({ id: 'bob' });
    });

    it.each(['jwt', 'opaque'] as const)('may be one of the format %s', async (format) => {
      const holder = await boundToken(booted, 'bob', { format, scope: 'documents:read', clientId: 'spa' });
      const { body } = await ask(holder);
      expect(body).toMatchObject({
        id: 'bob',
        scopes: ['documents:read'],
        proofs: [{ method: 'dpop', credentialId: holder.id, client: 'spa', bound: true }],
      });
    });
  });

  describe('attacks', () => {
    const wrong = (forgery: Partial<Forgery>, code = PROOF) => refused(() => ask(bob, forgery), code);
    const bare = (...lines: string[]) =>
      client(booted.origin).raw(`GET ${DEMO} HTTP/1.1`, 'Connection: close', ...lines, '');

    it('DPOP-01: a bound token without a proof is refused', async () => {
      await refused(() => send({ Authorization: `DPoP ${bob.token}` }), PROOF);
      await refused(() => send(withProof(bob.token, '')), PROOF);
    });

    it('a bound token is no bearer token, with or without its proof', async () => {
      for (const proof of [undefined, proofOf(bob)]) {
        const headers = { Authorization: `Bearer ${bob.token}`, ...(proof && { DPoP: proof }) };
        for (const path of [DEMO, '/me']) expect((await send(headers, path)).status).toBe(401);
        expect((await send(headers, '/me')).body.code).toBe(TOKEN);
      }
      expect((await send({ DPoP: proofOf(bob) })).body.code).toBe('unauthenticated');
    });

    it.each<[string, TokenOptions]>([
      ['no key', { claims: { cnf: undefined } }],
      ['a certificate', { cnf: { 'x5t#S256': 'A'.repeat(43) } }],
      ['no key, opaque', { cnf: {}, format: 'opaque' }],
    ])('a token that is bound to %s is refused, though the proof is good', async (_, options) => {
      const holder = await boundToken(booted, 'bob', options);
      await refused(() => ask(holder), TOKEN);
    });

    it('DPOP-03: a second Authorization is refused, whichever comes first', async () => {
      const { token } = await issueAccessToken(booted, 'bob');
      const two = [`Authorization: Bearer ${token}`, `Authorization: DPoP ${bob.token}`];
      for (const lines of [two, two.toReversed()]) {
        const answer = await bare('Host: localhost', ...lines, `DPoP: ${proofOf(bob)}`);
        expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*"duplicate_header"/);
      }
      await refused(() => send(withProof(`${bob.token}, Bearer ${token}`, proofOf(bob))), TOKEN);
    });

    it('DPOP-04: two proofs are refused, in two lines or in one', async () => {
      const proofs = [proofOf(bob), proofOf(bob)];
      const lines = proofs.map((proof) => `DPoP: ${proof}`);
      const host = `Host: ${new URL(booted.origin).host}`;
      const answer = await bare(host, `Authorization: DPoP ${bob.token}`, ...lines);
      expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*"duplicate_header"/);
      for (const joint of [', ', ',', ' '])
        await refused(() => send(withProof(bob.token, proofs.join(joint))), PROOF);
      expect((await send(withProof(bob.token, proofs[0]!))).status).toBe(200);
    });

    it('DPOP-08: a proof is good once, however it is written', async () => {
      const proof = proofOf(bob);
      expect((await send(withProof(bob.token, proof))).status).toBe(200);
      await refused(() => send(withProof(bob.token, proof)), PROOF);
      // The same payload under another signature that is as good.
      await refused(() => send(withProof(bob.token, otherSignature(proof))), PROOF);
      const last = String.fromCharCode(proof.charCodeAt(proof.length - 1) + 1);
      for (const text of [`${proof}=`, `${proof}==`, `${proof} `, proof.slice(0, -1) + last, `${proof}.`])
        await refused(() => send(withProof(bob.token, text)), PROOF);
    });

    it('of twenty of the same proof at once, one goes through', async () => {
      const headers = withProof(bob.token, proofOf(bob));
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => (await send(headers)).status),
      );
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
    });

    it('of one proof that is sent to two processes at once, one goes through', async () => {
      const processes = await startProcesses(2);
      try {
        const { token, key } = await boundToken(processes, 'bob');
        const { publicUrl } = processes.app.get(Settings);
        const make = () => {
          const claims = { htu: publicUrl + DEMO, nonce: nonceOf(processes) };
          return Promise.resolve(forge({ key, accessToken: token, claims }));
        };
        const use = async (origin: string, proof: string) =>
          (await client(origin).get(DEMO, withProof(token, proof))).status === 200;
        expect(await race({ origins: processes.origins, rounds: 50, parallel: 10, make, use })).toEqual([]);
      } finally {
        await processes.stop();
      }
    });

    it('where used proofs cannot be remembered, nobody comes in, and the proof stays good', async () => {
      const headers = withProof(bob.token, proofOf(bob));
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const answer = await send(headers);
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expect([answer.status, answer.body.code]).toEqual([503, 'service_unavailable']);
      expect((await send(headers)).status).toBe(200);
    });

    it('nobody uses up the jti of another: neither without the key nor with another one', async () => {
      const jti = randomUUID();
      const stranger = newKey();
      await wrong({ key: stranger, claims: { jti } }, TOKEN);
      await wrong({ key: stranger, header: { jwk: publicJwk(bob.key) }, claims: { jti } });
      const mallory = await boundToken(booted, 'mallory');
      expect((await ask(mallory, { claims: { jti } })).status).toBe(200);
      expect((await ask(bob, { claims: { jti } })).status).toBe(200);
      await wrong({ claims: { jti } });
    });

    it('DPOP-09: a jti takes up as little as any other, for as long as its proof is good, and none without a signature', async () => {
      await booted.db.manager.clear(UsedValue);
      const nonce = nonceOf(booted, Date.now() - 60_000);
      for (const jti of ['j', 'j'.repeat(255), '\u{1f511}'.repeat(60)])
        expect((await ask(bob, { claims: { jti, nonce } })).status).toBe(200);
      await wrong({ claims: { jti: 'j'.repeat(256) } });
      await wrong({ claims: { jti: 'j'.repeat(6_000) } });
      for (let i = 0; i < 50; i++) await wrong({ signature: 'AA' });
      const rows = await booted.db.manager.find(UsedValue);
      expect(rows.map(({ digest }) => digest.length)).toEqual([43, 43, 43]);
      const soon = Date.now() / 1000 + 62;
      for (const { until } of rows) expect(Math.abs(until - soon)).toBeLessThan(20);
      const answer = await bare('Host: localhost', `DPoP: ${'j'.repeat(1_000_000)}`);
      expect(answer).toMatch(/^HTTP\/1\.1 431 /);
      for (const { digest } of rows) await booted.db.manager.update(UsedValue, { digest }, { until: 1 });
      await booted.app.get(ReplayStore).cleanUp();
      expect(await used()).toBe(0);
    });

    describe('DPOP-11: the target', () => {
      const at = (htu: string) =>
        ask(bob, { claims: { htu: htu.replace('PORT', new URL(booted.origin).port) } });

      it.each([
        'http://127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:PORT/demo/dpop?query=ignored',
        'http://127.0.0.1:PORT/demo/dpop#fragment',
        'HTTP://127.0.0.1:PORT/demo/dpop',
        'http://127.0.0.1:PORT/x/../demo/./dpop',
        'http://127.0.0.1:PORT/x/%2e%2e/demo/%64pop',
        'http://localhost:0/demo/dpop',
      ])('%j is what was called, or is called so in public', async (htu) => {
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
      ])('%j is another, and is refused', async (htu) => {
        await refused(() => at(htu), PROOF);
      });

      const raw = async (target: string, host: string, htu: string, ...lines: string[]) => {
        const proof = proofOf(bob, { claims: { htu } });
        const answer = await client(booted.origin).raw(
          `GET ${target} HTTP/1.1`,
          `Host: ${host}`,
          'Connection: close',
          `Authorization: DPoP ${bob.token}`,
          `DPoP: ${proof}`,
          ...lines,
          '',
        );
        return `${answer.slice(9, 12)} ${/"code":"(\w+)"/.exec(answer)?.[1] ?? ''}`.trim();
      };

      it('is named by Host, in upper or lower case, with or without the port that goes without saying', async () => {
        const htu = `http://localhost${DEMO}`;
        for (const host of ['localhost', 'LOCALHOST', 'localhost:80'])
          expect([host, await raw(DEMO, host, htu)]).toEqual([host, '200']);
        for (const host of ['localhost.', 'localhost:8080', 'localhost:443', 'user@localhost'])
          expect([host, await raw(DEMO, host, htu)]).toEqual([host, `401 ${PROOF}`]);
      });

      it('has a query, of which the proof knows nothing', async () => {
        for (const query of ['?', '?a=1', `?a=${'1'.repeat(10_000)}`, '?a=[1]{2}|3'])
          expect(await raw(DEMO + query, 'localhost', `http://localhost${DEMO}`)).toBe('200');
      });

      it('is a path: in its absolute form, or ambiguously encoded, it goes no further', async () => {
        const htu = `http://localhost${DEMO}`;
        for (const target of [htu, `http://attacker.example${DEMO}`, '/demo/%64pop', '/x/%2e%2e/demo/dpop'])
          expect([target, await raw(target, 'localhost', htu)]).toEqual([target, '400 invalid_target']);
        expect(await raw('/x/../demo/dpop', 'localhost', htu)).toBe('404 not_found');
      });

      it('is of one method', async () => {
        await wrong({ claims: { htm: 'POST' } });
        await wrong({ claims: { htm: 'get' } });
      });

      it('DPOP-12: is not named by what anybody may write', async () => {
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

    it('DPOP-12: a trusted proxy says whether it was called over TLS, and never by which name', async () => {
      await during({ env: { TRUST_PROXY: '127.0.0.1' } }, async (behind) => {
        const { token, key } = await boundToken(behind, 'bob');
        const call = async (htu: string) => {
          const proof = forge({ key, accessToken: token, claims: { htu, nonce: nonceOf(behind) } });
          const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'api.example.com' };
          return (await client(behind.origin).get(DEMO, { ...headers, ...withProof(token, proof) })).status;
        };
        expect(await call(behind.origin.replace('http:', 'https:') + DEMO)).toBe(200);
        expect(await call(`https://api.example.com${DEMO}`)).toBe(401);
        expect(await call(behind.origin + DEMO)).toBe(401);
      });
    });

    it('DPOP-12: in production it is that of PUBLIC_URL, whatever the request says', async () => {
      const PUBLIC_URL = 'https://api.atlas.test';
      const APP_SECRET = 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5';
      const env = { NODE_ENV: 'production', APP_SECRET, PUBLIC_URL };
      await during({ env, logTo: { write: () => {} } }, async (production) => {
        const { manager } = production.db;
        await manager.insert(Tenant, { id: 'acme', name: 'Acme' });
        const account = { id: 'bob', tenantId: 'acme', username: 'bob', kind: 'user' } as const;
        await manager.insert(User, { ...account, roles: ['editor'], disabledAt: null, epoch: 0 });
        const { token, key } = await boundToken(production, 'bob');
        const call = async (host: string, origin: string) => {
          const claims = { htu: origin + DEMO, nonce: nonceOf(production) };
          const proof = forge({ key, accessToken: token, claims });
          const answer = await client(production.origin).raw(
            `GET ${DEMO} HTTP/1.1`,
            `Host: ${host}`,
            'Connection: close',
            `Authorization: DPoP ${token}`,
            `DPoP: ${proof}`,
            '',
          );
          return answer.slice(9, 12);
        };
        expect(await call('api.atlas.test', PUBLIC_URL)).toBe('200');
        expect(await call('api.atlas.test', 'https://API.atlas.test:443')).toBe('200');
        expect(await call('api.atlas.test', 'http://api.atlas.test')).toBe('401');
        expect(await call('evil.test', 'http://evil.test')).toBe('401');
        expect(await call('evil.test', 'https://evil.test')).toBe('401');
      });
    });

    it('a proof of minutes ago or of minutes to come is refused', async () => {
      const iat = Math.floor(Date.now() / 1000);
      for (const seconds of [-310, 310]) await wrong({ claims: { iat: iat + seconds } });
      await wrong({ claims: { iat: undefined } });
      expect((await ask(bob, { claims: { iat: iat - 200 } })).status).toBe(200);
    });

    it('DPOP-14: exp and nbf are kept to where a proof has them', async () => {
      const now = Math.floor(Date.now() / 1000);
      for (const claims of [{ exp: now - 1 }, { nbf: now + 310 }, { exp: 'never' }, { nbf: null }])
        await wrong({ claims });
      expect((await ask(bob, { claims: { exp: now + 60, nbf: now } })).status).toBe(200);
    });

    it.each(['JWT', 'dpop', 'DPOP+JWT', 'at+jwt', undefined])(
      'DPOP-15: typ %j is no proof',
      async (typ) => void (await wrong({ header: { typ } })),
    );

    it('DPOP-16: an alg that is none, symmetric, unknown, or of a weak key is refused', async () => {
      for (const alg of ['none', 'HS256', 'RS256', 'ES384', 'es256', undefined])
        await wrong({ header: { alg } });
      await wrong({ header: { alg: 'none' }, signature: '' });
      const weak = { kty: 'RSA', n: publicJwk(KINDS.PS256.key)['n']!.slice(0, 171), e: 'AQAB' };
      for (const alg of ['RS256', 'PS256']) await wrong({ header: { alg, jwk: weak } });
    });

    it('DPOP-17: a jwk that is private, symmetric or missing is refused, and a kid beside it too', async () => {
      const jwk = publicJwk(bob.key);
      const { d } = bob.key.export({ format: 'jwk' });
      for (const other of [
        { ...jwk, d },
        { kty: 'oct', k: 'c2VjcmV0' },
        { ...jwk, k: 'c2VjcmV0' },
        undefined,
      ])
        await wrong({ header: { jwk: other } });
      await wrong({ header: { kid: 'mine' } });
      await wrong({ header: { jwk: undefined, kid: 'mine' } });
    });

    it("DPOP-18: a proof by another key than the token's is refused, also where it shows the token's", async () => {
      await wrong({ key: newKey() }, TOKEN);
      await wrong({ key: newKey(), header: { jwk: publicJwk(bob.key) } });
      const { token } = await boundToken(booted, 'alice');
      await refused(() => ask({ token, key: bob.key }), TOKEN);
    });

    it('DPOP-19: a proof for another access token of the same key is refused, and one for none', async () => {
      const other = await boundToken(booted, 'bob', {}, bob.key);
      expect((await ask(other)).status).toBe(200);
      await wrong({ accessToken: other.token });
      for (const ath of [undefined, '', bob.token, null]) await wrong({ claims: { ath } });
    });

    it('DPOP-20: a nonce that is missing, old, altered or of another server is refused, with a good one', async () => {
      const nonce = nonceOf(booted);
      const others = dpopNonces(Settings.from({ PUBLIC_URL: 'https://other.example.com' })).issue();
      const old = nonceOf(booted, Date.now() - 120_000);
      const altered = nonce.slice(0, -1) + (nonce.endsWith('A') ? 'B' : 'A');
      for (const wrongOne of [undefined, '', old, altered, others, nonce.toUpperCase(), `${nonce} `]) {
        const answer = await wrong({ claims: { nonce: wrongOne } }, NONCE);
        const next = answer.headers.get('dpop-nonce');
        expect((await ask(bob, { claims: { nonce: next } })).status).toBe(200);
      }
      await wrong({ claims: { nonce: [nonce] } });
    });

    it('DPOP-24: an access token is no proof, and a proof is no access token', async () => {
      await refused(() => send(withProof(bob.token, bob.token)), PROOF);
      const proof = proofOf(bob);
      await refused(() => send(withProof(proof, proofOf({ token: proof, key: bob.key }))), TOKEN);
      // A proof as it goes with the request for a token.
      await wrong({ claims: { htm: 'POST', htu: `${booted.origin}/oidc/token`, ath: undefined } });
    });

    it('DPOP-23: the proofs that RFC 9449 prints are of somebody else', async () => {
      const head =
        'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
      const payload =
        'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA';
      const jkt = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
      await refused(() => send(withProof(bob.token, `${head}.${payload}`)), TOKEN);
      const { token } = await boundToken(booted, 'bob', { cnf: { jkt } });
      await refused(() => send(withProof(token, `${head}.${payload}`)), PROOF);
    });

    it('whoever is asked for a nonce has not sent a wrong credential', async () => {
      await during({ env: { RATE_LIMIT_BAD_CREDENTIALS: '3' } }, async (limited) => {
        const { token, key } = await boundToken(limited, 'bob');
        const htu = limited.origin + DEMO;
        const call = (claims: object) =>
          client(limited.origin).get(
            DEMO,
            withProof(token, forge({ key, accessToken: token, claims: { htu, ...claims } })),
          );
        for (let i = 0; i < 10; i++) expect((await call({})).status).toBe(401);
        expect((await call({ nonce: nonceOf(limited) })).status).toBe(200);
        for (let i = 0; i < 10; i++) await call({ htm: 'POST' });
        expect((await call({ nonce: nonceOf(limited) })).status).toBe(429);
      });
    });

    it('a token that was withdrawn is refused, however good the proof', async () => {
      const holder = await boundToken(booted, 'bob');
      expect((await ask(holder)).status).toBe(200);
      await booted.db.manager.delete(AccessToken, { id: holder.id });
      await refused(() => ask(holder), TOKEN);
    });
  });
});
