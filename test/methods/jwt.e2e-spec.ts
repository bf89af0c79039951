import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import type { Principal } from '../../src/authentication/principal.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import { SigningKey } from '../../src/crypto/signing-key.entity.js';
import { Settings } from '../../src/config/settings.js';
import { DEMO_SECRET } from '../../src/config/demo-settings.js';
import { jwtConfig, readJwtConfig } from '../../src/methods/jwt/jwt.config.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { RefreshToken, TokenFamily } from '../../src/methods/jwt/jwt.entity.js';
import { JwtService } from '../../src/methods/jwt/jwt.service.js';
import { User } from '../../src/users/user.entity.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { RANDOM_SECRET, as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { contract } from './jwt.contract.js';

satisfiesTheContract(contract);

const MINUTE = 60_000;
const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
const decode = (part: string) =>
  JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;

/** Signs any header and claims with ES256, given as objects or as exact text. */
function forge(header: unknown, claims: unknown, key: KeyObject): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** Issues tokens, as a sign-in does. */
async function signIn({ app, db }: Pick<Booted, 'app' | 'db'>, userId = 'bob', scopes?: string[]) {
  const user = await db.manager.findOneByOrFail(User, { id: userId });
  const proof = { method: 'jwt', at: new Date(), amr: ['pwd'], bound: false } as const;
  const principal = { ...user, proofs: [proof] as const, ...(scopes && { scopes }) };
  const request = { headers: { 'user-agent': 'a test' } } as AuthRequest;
  const tokens = await app.get(JwtService).issue(principal, request, user.epoch);
  const [header, claims] = tokens.access_token.split('.').map((part, i) => (i < 2 ? decode(part) : {}));
  return { ...tokens, header: header!, claims: claims!, family: claims!['sid'] as string };
}

const status = async (origin: string, token: string) =>
  (await client(origin, { Authorization: `Bearer ${token}` }).get('/demo/jwt')).status;

function expectRejected(response: TestResponse, code = 'invalid_token') {
  expect({ status: response.status, code: response.body.code }).toEqual({ status: 401, code });
  expect(response.headers.get('www-authenticate')).toBe('Bearer realm="auth-atlas", error="invalid_token"');
}

describe('jwt', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const demo = (token: string) =>
    client(booted.origin, { Authorization: `Bearer ${token}` }).get('/demo/jwt');
  const refresh = (refresh_token: string, scope?: string) =>
    client(booted.origin).post('/auth/refresh', { refresh_token, ...(scope !== undefined && { scope }) });
  const familyOf = (id: string) => booted.db.manager.findOneByOrFail(TokenFamily, { id });

  describe('an access token', () => {
    it('is a short-lived at+jwt of RFC 9068, signed with a published key', async () => {
      const { header, claims, access_token, expires_in, token_type } = await signIn(booted);
      expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
      expect(claims).toEqual({
        iss: 'http://localhost:0',
        aud: 'http://localhost:0',
        client_id: 'auth-atlas',
        sub: 'bob',
        sid: expect.any(String),
        jti: expect.any(String),
        iat: expect.any(Number),
        exp: (claims['iat'] as number) + 300,
        auth_time: expect.any(Number),
        amr: ['pwd'],
      });
      expect([expires_in, token_type]).toEqual([300, 'Bearer']);
      const { body } = await demo(access_token);
      expect(body).toMatchObject({
        id: 'bob',
        roles: ['editor'],
        proofs: [{ method: 'jwt', credentialId: claims['sid'], amr: ['pwd'], bound: false }],
      });
    });

    it('states a fresh factor after a step-up, as all later tokens do: the token from before gains nothing', async () => {
      const { access_token, refresh_token, family } = await signIn(booted, 'bob', ['documents:read']);
      const at = new Date(Date.now() - 600_000);
      await booted.db.manager.update(TokenFamily, { id: family }, { authAt: at });
      const caller = (await demo(access_token)).body as Principal;
      const fresh = { at: new Date(), amr: ['pwd', 'otp', 'mfa'] };
      const stepped = await booted.app.get(JwtService).stepUp(caller, fresh);
      expect(stepped).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 300,
        scope: 'documents:read',
      });
      const proofsOf = async (token: string) =>
        (await demo(token)).body.proofs as { at: string; amr: string[] }[];
      const seconds = new Date(Math.floor(fresh.at.getTime() / 1000) * 1000).toISOString();
      expect(await proofsOf(stepped.access_token)).toMatchObject([{ amr: fresh.amr, at: seconds }]);
      expect(await proofsOf(access_token)).toMatchObject([{ amr: ['pwd'] }]);
      const refreshed = (await refresh(refresh_token)).body as { access_token: string };
      expect(await proofsOf(refreshed.access_token)).toMatchObject([{ amr: fresh.amr, at: seconds }]);

      await booted.db.manager.update(TokenFamily, { id: family }, { revokedAt: new Date() });
      const late = booted.app.get(JwtService).stepUp(caller, fresh);
      await expect(late).rejects.toMatchObject({ response: { code: 'sign_in_ended' } });
    });

    it('contains the scopes that the sign-in requested', async () => {
      const { access_token, claims } = await signIn(booted, 'bob', ['documents:read']);
      expect(claims['scope']).toBe('documents:read');
      const reader = client(booted.origin, { Authorization: `Bearer ${access_token}` });
      expect((await reader.get('/documents')).status).toBe(200);
      expect((await reader.post('/documents', { title: 'no' })).status).toBe(403);
    });

    it('is accepted again from the cache, and rejected as soon as its family is revoked', async () => {
      const { access_token, family } = await signIn(booted);
      expect((await demo(access_token)).status).toBe(200);
      expect((await demo(access_token)).status).toBe(200);
      await booted.db.manager.update(TokenFamily, { id: family }, { revokedAt: new Date() });
      expectRejected(await demo(access_token));
    });
  });

  describe('the signing keys', () => {
    it('are published without their private part, cacheable for less than the lead time of a new key', async () => {
      const { status, headers, body } = await client(booted.origin).get('/.well-known/jwks.json');
      expect(status).toBe(200);
      expect(headers.get('cache-control')).toBe('public, max-age=300');
      expect(body.keys).toEqual([
        {
          kty: 'EC',
          crv: 'P-256',
          x: expect.any(String),
          y: expect.any(String),
          kid: expect.any(String),
          alg: 'ES256',
          use: 'sig',
        },
      ]);
      expect(() => createPublicKey({ key: body.keys[0], format: 'jwk' })).not.toThrow();
    });

    it('are encrypted in the database', async () => {
      const [row] = await booted.db.manager.find(SigningKey);
      expect(JSON.stringify(row)).not.toMatch(/PRIVATE KEY|"d":/);
      expect(row!.sealed).toMatch(/^[0-9a-f]{8}\.[\w-]+$/);
    });

    it('rotate from next to active to retired without a failing token', async () => {
      const own = await boot();
      try {
        const keys = own.app.get(SigningKeys);
        const before = await signIn(own);
        await keys.rotate();
        // Published, but not yet used.
        const published = await client(own.origin).get('/.well-known/jwks.json');
        expect(published.body.keys).toHaveLength(2);
        expect((await signIn(own)).header['kid']).toBe(before.header['kid']);
        // It becomes active.
        const move = async (generation: number, moments: Partial<SigningKey>) =>
          void (await own.db.manager.update(SigningKey, { generation }, moments));
        await move(2, { activeFrom: new Date() });
        await move(1, { retiredAt: new Date() });
        const after = await signIn(own);
        expect(after.header['kid']).not.toBe(before.header['kid']);
        expect(await status(own.origin, before.access_token)).toBe(200);
        expect(await status(own.origin, after.access_token)).toBe(200);
        // After the grace period, its tokens are invalid and the key is deleted.
        await move(1, { retiredAt: new Date(Date.now() - 11 * MINUTE) });
        expect(await status(own.origin, before.access_token)).toBe(401);
        expect(await status(own.origin, after.access_token)).toBe(200);
        await keys.rotateIfDue();
        expect((await client(own.origin).get('/.well-known/jwks.json')).body.keys).toHaveLength(1);
      } finally {
        await own.close();
      }
    });

    it('rotate automatically after a month, once across all processes', async () => {
      const own = await boot();
      try {
        const keys = own.app.get(SigningKeys);
        const inAMonth = Date.now() + 31 * 24 * 60 * MINUTE;
        await Promise.all([keys.rotateIfDue(inAMonth), keys.rotateIfDue(inAMonth)]);
        expect(await own.db.manager.count(SigningKey)).toBe(2);
      } finally {
        await own.close();
      }
    });

    it('reject every token of a compromised key at once', async () => {
      const own = await boot();
      try {
        const { access_token } = await signIn(own);
        expect(await status(own.origin, access_token)).toBe(200);
        await own.app.get(SigningKeys).replaceCompromised();
        expect(await status(own.origin, access_token)).toBe(401);
        expect(await status(own.origin, (await signIn(own)).access_token)).toBe(200);
      } finally {
        await own.close();
      }
    });
  });

  describe('a refresh token', () => {
    it('is exchanged for new tokens once', async () => {
      const first = await signIn(booted);
      const { status, body, headers } = await refresh(first.refresh_token);
      expect(status).toBe(200);
      expect(body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 300,
        refresh_token: expect.stringMatching(/^atlas_rt_/),
      });
      expect(headers.get('cache-control')).toBe('no-store');
      expect(body.refresh_token).not.toBe(first.refresh_token);
      expect((await demo(body.access_token)).status).toBe(200);
      expect((await refresh(body.refresh_token)).status).toBe(200);
    });

    it('is stored as a hash', async () => {
      const { refresh_token } = await signIn(booted);
      const rows = JSON.stringify(await booted.db.manager.find(RefreshToken));
      expect(rows).not.toContain(refresh_token.split('.')[1]);
    });

    it('can narrow the scopes of one access token, and restores them at the next refresh', async () => {
      const { refresh_token } = await signIn(booted, 'bob', ['documents:read', 'documents:write']);
      const narrow = await refresh(refresh_token, 'documents:read');
      expect(narrow.body.scope).toBe('documents:read');
      const whole = await refresh(narrow.body.refresh_token);
      expect(whole.body.scope).toBe('documents:read documents:write');
    });

    it('is not used up by a rejected request for more scopes than were granted', async () => {
      const { refresh_token } = await signIn(booted, 'bob', ['documents:read']);
      for (const scope of ['documents:write', 'documents:read documents:write', 'root', ''])
        expect(await refresh(refresh_token, scope)).toMatchObject({
          status: 400,
          body: { code: 'invalid_scope' },
        });
      expect((await refresh(refresh_token)).status).toBe(200);
    });

    it('expires after a week without use, and with its family after a month', async () => {
      const idle = await signIn(booted);
      await booted.db.manager.update(RefreshToken, { familyId: idle.family }, { expiresAt: new Date() });
      expectRejected(await refresh(idle.refresh_token), 'invalid_grant');
      const old = await signIn(booted);
      await booted.db.manager.update(TokenFamily, { id: old.family }, { expiresAt: new Date() });
      expectRejected(await refresh(old.refresh_token), 'invalid_grant');
    });
  });

  describe('the token families of an account', () => {
    it('are listed without a secret, and can be ended one by one', async () => {
      const [one, other] = [await signIn(booted, 'carol'), await signIn(booted, 'carol')];
      const carol = client(booted.origin, { Authorization: `Bearer ${one.access_token}` });
      const { body } = await carol.get('/token-families');
      expect(body.items).toHaveLength(2);
      expect(body.items).toContainEqual({
        id: one.family,
        scopes: null,
        amr: ['pwd'],
        authAt: expect.any(String),
        userAgent: 'a test',
        createdAt: expect.any(String),
        expiresAt: expect.any(String),
        current: true,
      });
      expect((await carol.send('DELETE', `/token-families/${other.family}`)).status).toBe(204);
      expectRejected(await demo(other.access_token));
      expectRejected(await refresh(other.refresh_token), 'invalid_grant');
      expect((await carol.get('/token-families')).body.items).toHaveLength(1);
    });

    it("gives 404 for another account's family", async () => {
      const { family, access_token } = await signIn(booted);
      const carol = client(booted.origin, as({ id: 'carol', roles: ['viewer'] }));
      expect((await carol.send('DELETE', `/token-families/${family}`)).body.code).toBe('not_found');
      expect((await demo(access_token)).status).toBe(200);
    });

    it('are deleted with their tokens a day after they ended', async () => {
      const day = 24 * 60 * MINUTE;
      const ago = (milliseconds: number) => new Date(Date.now() - milliseconds);
      const over = async (change: Partial<TokenFamily>) => {
        const { family, refresh_token } = await signIn(booted);
        await refresh(refresh_token);
        await booted.db.manager.update(TokenFamily, { id: family }, change);
        return family;
      };
      const kept = [await over({ revokedAt: null }), await over({ expiresAt: ago(day - MINUTE) })];
      kept.push(await over({ revokedAt: ago(day - MINUTE) }));
      const gone = [
        await over({ expiresAt: ago(day + MINUTE) }),
        await over({ revokedAt: ago(day + MINUTE) }),
      ];
      await booted.app.get(JwtService).cleanUp();
      const { manager } = booted.db;
      for (const id of kept) expect(await manager.countBy(RefreshToken, { familyId: id })).toBe(2);
      for (const id of gone) {
        expect(await manager.existsBy(TokenFamily, { id })).toBe(false);
        expect(await manager.countBy(RefreshToken, { familyId: id })).toBe(0);
      }
    });

    it('rejects a limited token that ends a family with more scopes', async () => {
      const whole = await signIn(booted);
      const narrow = await signIn(booted, 'bob', ['documents:read']);
      const limited = client(booted.origin, { Authorization: `Bearer ${narrow.access_token}` });
      const response = await limited.send('DELETE', `/token-families/${whole.family}`);
      expect([response.status, response.body.code]).toEqual([403, 'limited_credential']);
      expect((await limited.send('DELETE', `/token-families/${narrow.family}`)).status).toBe(204);
    });
  });

  describe('HS256, for learners', () => {
    const secret = 'a-secret-of-thirty-two-bytes-or-more';

    it('signs and verifies with a shared secret, and does not publish it', async () => {
      const own = await boot({ env: { JWT_HS256_SECRET: secret } });
      try {
        const { access_token, header, claims } = await signIn(own);
        expect(header).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: 'hs256' });
        expect(await status(own.origin, access_token)).toBe(200);
        const input = `${encode({ ...header, alg: 'HS512' })}.${encode(claims)}`;
        const other = createHmac('sha512', secret).update(input).digest('base64url');
        expect(await status(own.origin, `${input}.${other}`)).toBe(401);
        expect(JSON.stringify((await client(own.origin).get('/.well-known/jwks.json')).body)).not.toContain(
          secret,
        );
      } finally {
        await own.close();
      }
    });

    it.each(['x'.repeat(40), 'a-secret-of-thirty-two-bytes-or-more', DEMO_SECRET])(
      'does not start in production with the guessable secret %s',
      (guessable) => {
        const production = {
          NODE_ENV: 'production',
          APP_SECRET: RANDOM_SECRET,
          PUBLIC_URL: 'https://api.atlas.test',
        };
        const read = (JWT_HS256_SECRET: string) =>
          readJwtConfig(Settings.from({ ...production, JWT_HS256_SECRET }));
        expect(() => read(guessable)).toThrow('JWT_HS256_SECRET is published or easy to guess.');
        expect(() => read(RANDOM_SECRET)).toThrow('JWT_HS256_SECRET must differ from APP_SECRET.');
        expect(read(randomBytes(32).toString('hex')).hs256Secret).toHaveLength(64);
      },
    );

    it('does not start with a secret shorter than 32 bytes', async () => {
      await expect(boot({ env: { JWT_HS256_SECRET: 'x'.repeat(31) } })).rejects.toThrow(
        'JWT_HS256_SECRET must have at least 32 bytes',
      );
    });
  });

  describe('attacks', () => {
    let good: Awaited<ReturnType<typeof signIn>>;
    let ours: KeyObject;
    beforeAll(async () => {
      good = await signIn(booted);
      ours = (await booted.app.get(SigningKeys).active(booted.db.manager)).key;
    });
    /** Signed with the server's own key, so that only the change can cause the rejection. */
    const withClaims = (changes: object) => forge(good.header, { ...good.claims, ...changes }, ours);
    const withHeader = (changes: object) => forge({ ...good.header, ...changes }, good.claims, ours);
    const parts = () => good.access_token.split('.') as [string, string, string];
    const now = () => Math.floor(Date.now() / 1000);

    it('accepts a forged token of these tests without a change', async () => {
      expect((await demo(withClaims({}))).status).toBe(200);
    });

    it('rejects a token without a signature or with alg none', async () => {
      const [header, claims, signature] = parts();
      const none = encode({ ...good.header, alg: 'none' });
      for (const token of [
        `${header}.${claims}.`,
        `${header}.${claims}`,
        `${none}.${claims}.`,
        `${none}.${claims}.${signature}`,
      ])
        expectRejected(await demo(token));
    });

    it('rejects an HMAC made with the public key', async () => {
      const input = `${encode({ ...good.header, alg: 'HS256' })}.${encode(good.claims)}`;
      const [jwk] = await booted.app.get(SigningKeys).jwks();
      const { x } = jwk as { x: string };
      const pem = createPublicKey(ours).export({ format: 'pem', type: 'spki' });
      for (const secret of [x, Buffer.from(x, 'base64url'), pem])
        expectRejected(
          await demo(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`),
        );
    });

    it('rejects signatures of zeros, of the curve order, and in other encodings', async () => {
      const [header, claims, signature] = parts();
      const bytes = Buffer.from(signature, 'base64url');
      const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
      const der = sign('sha256', Buffer.from(`${header}.${claims}`), ours);
      const forms = [
        Buffer.alloc(64),
        Buffer.concat([Buffer.alloc(32), bytes.subarray(32)]),
        Buffer.concat([bytes.subarray(0, 32), order]),
        Buffer.concat([bytes, Buffer.alloc(1)]),
        bytes.subarray(0, 63),
        der,
      ];
      for (const form of forms)
        expectRejected(await demo(`${header}.${claims}.${form.toString('base64url')}`));
    });

    it('rejects headers with a key, a key URL, crit, b64 or zip', async () => {
      const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const jwk = theirs.publicKey.export({ format: 'jwk' });
      const embedded = forge({ ...good.header, jwk }, good.claims, theirs.privateKey);
      expectRejected(await demo(embedded));
      for (const more of [
        { jwk },
        { jku: 'https://evil.test/jwks.json' },
        { x5u: 'https://evil.test/chain.pem' },
        { x5c: ['MIIB'] },
        { x5t: 'abc' },
        { b64: false, crit: ['b64'] },
        { crit: ['exp'] },
        { zip: 'DEF' },
      ])
        expectRejected(await demo(withHeader(more)));
    });

    it('rejects SQL, paths and unknown names as kid', async () => {
      const kids = [
        "x' UNION SELECT 'key'--",
        '../../etc/passwd',
        '',
        'nobody',
        1,
        ['a'],
        null,
        undefined,
        'k'.repeat(3000),
      ];
      for (const kid of kids) expectRejected(await demo(withHeader({ kid })));
    });

    it('rejects an encrypted token without decrypting it', async () => {
      const header = { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 1e9, typ: 'at+jwt' };
      expectRejected(await demo([encode(header), 'a', 'b', 'c', 'd'].join('.')));
      expectRejected(
        await demo([encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' }), '', 'b', 'c', 'd'].join('.')),
      );
    });

    it('rejects an exp that is missing, past or not an integer', async () => {
      for (const exp of [now() - 1, now(), '9999999999', -1, now() + 1.5, null, undefined, true])
        expectRejected(await demo(withClaims({ exp })));
      const huge = JSON.stringify(good.claims).replace(/"exp":\d+/, '"exp":1e400');
      expectRejected(await demo(forge(good.header, huge, ours)));
      expect((await demo(withClaims({ exp: now() + 30 }))).status).toBe(200);
    });

    it('rejects a token before its nbf or iat', async () => {
      expectRejected(await demo(withClaims({ nbf: now() + 3600 })));
      expectRejected(await demo(withClaims({ nbf: 'tomorrow' })));
      expectRejected(await demo(withClaims({ iat: now() + 3600, exp: now() + 3700 })));
      expectRejected(await demo(withClaims({ iat: undefined })));
    });

    it('rejects a lifetime above five minutes, although the signature is valid', async () => {
      expectRejected(await demo(withClaims({ exp: 4_102_444_800 })));
      expectRejected(await demo(withClaims({ exp: (good.claims['iat'] as number) + 301 })));
    });

    it('rejects another issuer, and another or an additional audience', async () => {
      const aud = good.claims['aud'] as string;
      for (const other of [
        'https://other.test',
        undefined,
        [],
        ['other'],
        `${aud}.evil.test`,
        `x${aud}`,
        [aud],
        [aud, 'other'],
        aud.toUpperCase(),
      ])
        expectRejected(await demo(withClaims({ aud: other })));
      for (const iss of ['https://other.test', undefined, [good.claims['iss']], `${aud}/`])
        expectRejected(await demo(withClaims({ iss })));
    });

    it('accepts only at+jwt and application/at+jwt as typ', async () => {
      for (const typ of [
        'JWT',
        undefined,
        'AT+JWT',
        'id_token',
        'logout+jwt',
        'dpop+jwt',
        'client-authentication+jwt',
        'oauth-authz-req+jwt',
        'rt+jwt',
        ' at+jwt',
      ])
        expectRejected(await demo(withHeader({ typ })));
      expect((await demo(withHeader({ typ: 'application/at+jwt' }))).status).toBe(200);
      expectRejected(await demo(good.refresh_token));
      expectRejected(await refresh(good.access_token), 'invalid_grant');
    });

    it('rejects duplicate names in the header and in the claims', async () => {
      const claims = JSON.stringify(good.claims);
      for (const text of [claims.replace('{', '{"sub":"alice",'), claims.replace(/\}$/, ',"sub":"alice"}')])
        expectRejected(await demo(forge(good.header, text, ours)));
      const header = JSON.stringify(good.header);
      for (const text of [header.replace('{', '{"alg":"none",'), header.replace(/\}$/, ',"alg":"ES256"}')])
        expectRejected(await demo(forge(text, good.claims, ours)));
    });

    it('rejects claims that are not UTF-8 or start with a byte order mark', async () => {
      const text = JSON.stringify(good.claims);
      for (const bytes of [
        Buffer.from(text, 'utf16le'),
        Buffer.from(`\uFEFF${text}`),
        Buffer.from(text.replace('"pwd"', '"pw\xff"'), 'latin1'),
      ]) {
        const input = `${encode(good.header)}.${bytes.toString('base64url')}`;
        const signature = sign('sha256', Buffer.from(input), { key: ours, dsaEncoding: 'ieee-p1363' });
        expectRejected(await demo(`${input}.${signature.toString('base64url')}`));
      }
    });

    it('rejects a sub other than the account of the family, and malformed claims', async () => {
      for (const sub of [1, ['bob'], { id: 'bob' }, '__proto__', 'acme-machine', 'alice', '', null])
        expectRejected(await demo(withClaims({ sub })));
      for (const sid of [1, null, 'nobody', "' OR 1=1 --", ['a']])
        expectRejected(await demo(withClaims({ sid })));
      for (const claim of [
        { jti: undefined },
        { amr: 'pwd' },
        { amr: [1] },
        { scope: ['a'] },
        { auth_time: undefined },
        { auth_time: Math.floor(Date.now() / 1000) + 3600 },
      ])
        expectRejected(await demo(withClaims(claim)));
    });

    it('rejects long tokens and tokens with more than three parts', async () => {
      const [header, claims, signature] = parts();
      expectRejected(
        await demo(`${header}.${encode({ ...good.claims, pad: 'x'.repeat(8000) })}.${signature}`),
      );
      for (const token of [
        `${good.access_token}.`,
        `${good.access_token}.x.y`,
        '.'.repeat(5000),
        `${header}.${claims}=.${signature}`,
        `${good.access_token}=`,
      ])
        expectRejected(await demo(token));
      const huge = await client(booted.origin).raw(
        'GET /demo/jwt HTTP/1.1',
        'Host: a',
        'Connection: close',
        `Authorization: Bearer ${'a'.repeat(20_000)}`,
        '',
      );
      expect(huge).toMatch(/^HTTP\/1\.1 431 /);
    });

    it('ignores tokens in the query, in cookies and in other headers', async () => {
      const anonymous = client(booted.origin);
      const cookie = { Cookie: `access_token=${good.access_token}` };
      for (const response of [
        await anonymous.get(`/demo/jwt?access_token=${good.access_token}`),
        await anonymous.get('/demo/jwt', cookie),
        await anonymous.get('/demo/jwt', { 'X-Access-Token': good.access_token }),
      ])
        expect([response.status, response.body.code]).toEqual([401, 'unauthenticated']);
    });

    it('rejects claims that were changed after signing, also with a cached token', async () => {
      const [header, , signature] = parts();
      expectRejected(await demo(`${header}.${encode({ ...good.claims, sub: 'alice' })}.${signature}`));
      // Also while the original token is cached.
      expect((await demo(good.access_token)).status).toBe(200);
      expectRejected(await demo(`${header}.${encode({ ...good.claims, scope: 'x' })}.${signature}`));
    });

    it('applies a removed role to tokens issued before', async () => {
      const admin = client(booted.origin, {
        Authorization: `Bearer ${(await signIn(booted, 'alice')).access_token}`,
      });
      expect((await admin.get('/audit/events')).status).toBe(200);
      await booted.db.manager.update(User, { id: 'alice' }, { roles: ['viewer'] });
      expect((await admin.get('/audit/events')).status).toBe(403);
      await booted.db.manager.update(User, { id: 'alice' }, { roles: ['admin'] });
    });

    it('rejects a request that arrived before the first use with 409, and keeps the family', async () => {
      const signed = await signIn(booted);
      const tokens = booted.app.get(JwtService);
      const arrived = new Date();
      const { access_token } = await tokens.refresh(signed.refresh_token, undefined, arrived);
      await expect(tokens.refresh(signed.refresh_token, undefined, arrived)).rejects.toMatchObject({
        status: 409,
        response: { code: 'concurrent_refresh' },
      });
      expect(await status(booted.origin, access_token)).toBe(200);
    });

    it('ends the family and audits the reuse when a refresh token comes twice', async () => {
      const first = await signIn(booted);
      const second = (await refresh(first.refresh_token)).body;
      expectRejected(await refresh(first.refresh_token), 'invalid_grant');
      expectRejected(await refresh(second.refresh_token), 'invalid_grant');
      expectRejected(await demo(first.access_token));
      expectRejected(await demo(second.access_token));
      const events = await booted.db.manager.findBy(AuditEvent, { event: 'authn_token_reuse' });
      expect(events.filter(({ target }) => target === `token-family:${first.family}`)).toMatchObject([
        { userId: 'bob', method: 'jwt' },
      ]);
    });

    it('ends the family when a client retries after a lost response', async () => {
      const { refresh_token, family } = await signIn(booted);
      await refresh(refresh_token);
      expectRejected(await refresh(refresh_token), 'invalid_grant');
      expect((await familyOf(family)).revokedAt).not.toBeNull();
    });

    it('rejects a wrong secret for a known id, and ends nothing', async () => {
      const { refresh_token, access_token } = await signIn(booted);
      const guess = refresh_token.replace(/\..*$/, `.${'a'.repeat(43)}`);
      expectRejected(await refresh(guess), 'invalid_grant');
      for (const odd of ['', 'atlas_rt_', guess.slice(1), `${refresh_token} `])
        expectRejected(await refresh(odd), 'invalid_grant');
      expect((await demo(access_token)).status).toBe(200);
      expect((await refresh(refresh_token)).status).toBe(200);
    });

    it('rejects a refresh after the family, all sign-ins or the account were ended', async () => {
      const ended = await signIn(booted);
      await client(booted.origin, { Authorization: `Bearer ${ended.access_token}` }).send(
        'DELETE',
        `/token-families/${ended.family}`,
      );
      expectRejected(await refresh(ended.refresh_token), 'invalid_grant');

      const everywhere = await signIn(booted);
      await booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));
      expectRejected(await refresh(everywhere.refresh_token), 'invalid_grant');
      expectRejected(await demo(everywhere.access_token));

      const disabled = await signIn(booted);
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
      expectRejected(await refresh(disabled.refresh_token), 'invalid_grant');
      await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: null });
      expect((await refresh(disabled.refresh_token)).status).toBe(200);
    });

    it('keeps the old refresh token valid when a refresh fails halfway', async () => {
      const { refresh_token } = await signIn(booted);
      await booted.db.query('ALTER TABLE audit_events RENAME TO audit_events_away');
      expect((await refresh(refresh_token)).status).toBe(500);
      await booted.db.query('ALTER TABLE audit_events_away RENAME TO audit_events');
      expect((await refresh(refresh_token)).status).toBe(200);
    });
  });

  describe('a repeated refresh', () => {
    let own: Booted;
    beforeAll(async () => (own = await boot({ env: { JWT_REFRESH_REUSE_SECONDS: '30' } })));
    afterAll(() => own.close());

    const repeat = (refresh_token: string, scope?: string) =>
      client(own.origin).post('/auth/refresh', { refresh_token, ...(scope !== undefined && { scope }) });
    const idOf = (token: string) => /^atlas_rt_([^.]*)/.exec(token)![1]!;
    /** A sign-in whose first refresh token was used by a request without a response. */
    const lost = async (scopes?: string[]) => {
      const signed = await signIn(own, 'bob', scopes);
      const { body } = await repeat(signed.refresh_token);
      return { ...signed, successor: body.refresh_token as string };
    };

    it('is not possible by default, and then no successor is stored', async () => {
      const { refresh_token } = await signIn(booted);
      const { body } = await refresh(refresh_token);
      const { manager } = booted.db;
      const used = await manager.findOneByOrFail(RefreshToken, { id: idOf(refresh_token) });
      expect(used.sealedSuccessor).toBeNull();
      await manager.update(RefreshToken, { id: used.id }, { usedAt: new Date(Date.now() - 1) });
      expectRejected(await refresh(refresh_token), 'invalid_grant');
      expectRejected(await refresh(body.refresh_token), 'invalid_grant');
    });

    it('is not possible after the setting was removed, whatever the clocks of the processes', async () => {
      const { refresh_token, successor } = await lost();
      await own.db.manager.update(
        RefreshToken,
        { id: idOf(refresh_token) },
        { usedAt: new Date(Date.now() + MINUTE) },
      );
      const config = own.app.get<{ refreshReuseSeconds: number }>(jwtConfig.KEY);
      config.refreshReuseSeconds = 0;
      try {
        const later = new Date(Date.now() + 2 * MINUTE);
        await expect(own.app.get(JwtService).refresh(refresh_token, undefined, later)).rejects.toThrow();
      } finally {
        config.refreshReuseSeconds = 30;
      }
      expectRejected(await repeat(successor), 'invalid_grant');
    });

    it('returns the same successor and another access token', async () => {
      const { refresh_token, successor } = await lost();
      const again = await repeat(refresh_token);
      expect([again.status, again.body.refresh_token]).toEqual([200, successor]);
      expect(await status(own.origin, again.body.access_token)).toBe(200);
      expect((await repeat(successor)).status).toBe(200);
    });

    it('returns one successor to 20 concurrent requests', async () => {
      const { refresh_token } = await signIn(own);
      const all = await Promise.all(Array.from({ length: 20 }, () => repeat(refresh_token)));
      const received = new Set(all.map(({ body }) => body.refresh_token as string));
      expect([all.every((response) => response.status === 200), received.size]).toEqual([true, 1]);
      expect((await repeat([...received][0]!)).status).toBe(200);
    });

    it('ends the family after the time, and once the successor was used', async () => {
      const late = await lost();
      const id = idOf(late.refresh_token);
      await own.db.manager.update(RefreshToken, { id }, { usedAt: new Date(Date.now() - 30_000) });
      const used = await lost();
      const { body } = await repeat(used.successor);
      for (const [repeated, newest] of [
        [late.refresh_token, late.successor],
        [used.refresh_token, body.refresh_token as string],
      ] as const) {
        expectRejected(await repeat(repeated), 'invalid_grant');
        expectRejected(await repeat(newest), 'invalid_grant');
      }
    });

    it('gives no more scopes than the sign-in', async () => {
      const { refresh_token, successor } = await lost(['documents:read', 'documents:write']);
      const narrow = await repeat(refresh_token, 'documents:read');
      expect([narrow.body.scope, narrow.body.refresh_token]).toEqual(['documents:read', successor]);
      expect((await repeat(refresh_token, 'documents:delete')).body.code).toBe('invalid_scope');
      expect((await repeat(refresh_token)).body.scope).toBe('documents:read documents:write');
    });

    it('returns nothing for a wrong secret, and after the family, all sign-ins or the account were ended', async () => {
      const { refresh_token, successor } = await lost();
      const guess = refresh_token.replace(/\..*$/, `.${'a'.repeat(43)}`);
      expectRejected(await repeat(guess), 'invalid_grant');
      expect((await repeat(refresh_token)).body.refresh_token).toBe(successor);

      const ended = await lost();
      await own.db.manager.update(TokenFamily, { id: ended.family }, { revokedAt: new Date() });
      expectRejected(await repeat(ended.refresh_token), 'invalid_grant');

      await own.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
      expectRejected(await repeat(refresh_token), 'invalid_grant');
      await own.db.manager.update(User, { id: 'bob' }, { disabledAt: null });

      await own.db.transaction((manager) => endAllSignIns(manager, 'bob'));
      for (const token of [refresh_token, successor]) expectRejected(await repeat(token), 'invalid_grant');
    });

    it('leaves nothing valid of repeats that race the end of all sign-ins', async () => {
      for (let round = 0; round < 5; round++) {
        const { refresh_token, successor } = await lost();
        const [, ...repeats] = await Promise.all([
          own.db.transaction((manager) => endAllSignIns(manager, 'bob')),
          ...Array.from({ length: 19 }, () => repeat(refresh_token)),
        ]);
        for (const { body } of repeats.filter((response) => response.status === 200))
          expectRejected(
            await client(own.origin, { Authorization: `Bearer ${body.access_token}` }).get('/demo/jwt'),
          );
        for (const token of [refresh_token, successor]) expectRejected(await repeat(token), 'invalid_grant');
      }
    });

    it('stores the successor encrypted only', async () => {
      const { successor } = await lost();
      const rows = JSON.stringify(await own.db.manager.find(RefreshToken));
      expect(rows).not.toContain(successor.split('.')[1]);
    });

    it('is allowed for at most 60 seconds', () => {
      const read = (JWT_REFRESH_REUSE_SECONDS: string) =>
        readJwtConfig(Settings.from({ JWT_REFRESH_REUSE_SECONDS })).refreshReuseSeconds;
      expect(['0', '60'].map(read)).toEqual([0, 60]);
      for (const wrong of ['61', '-1', '0.5', 'true'])
        expect(() => read(wrong)).toThrow(
          'JWT_REFRESH_REUSE_SECONDS must be a number of seconds from 0 to 60',
        );
    });
  });

  it('lets one of 20 parallel refreshes on two servers succeed, without forking the family', async () => {
    const processes = await startProcesses(2);
    try {
      const codes = new Set<string>();
      const unfair = await race({
        origins: processes.origins,
        make: async () => (await signIn(processes)).refresh_token,
        use: async (origin, refresh_token) => {
          const { status, body } = await client(origin).post('/auth/refresh', { refresh_token });
          codes.add(status === 200 ? 'ok' : body.code);
          return status === 200;
        },
      });
      expect(unfair).toEqual([]);
      // Requests during the refresh get 409; later ones end the family and get invalid_grant. The timing decides which occur.
      const losing = ['concurrent_refresh', 'invalid_grant'];
      expect([...codes].filter((code) => !losing.includes(code))).toEqual(['ok']);
      const live = await processes.db.manager.sql<unknown[]>`
        SELECT "familyId" FROM refresh_tokens WHERE "usedAt" IS NULL GROUP BY "familyId" HAVING COUNT(*) > 1`;
      expect(live).toEqual([]);
    } finally {
      await processes.stop();
    }
  }, 300_000);
});
