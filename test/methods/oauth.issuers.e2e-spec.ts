import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { User } from '../../src/users/user.entity.js';
import { issueAccessToken } from '../support/access-tokens.js';
import { boot, client, type TestResponse, type Booted } from '../support/app.js';
import { newIssuerKey, startIssuerServer } from '../support/issuer.js';

const AUDIENCE = 'https://api.example.com';
const now = () => Math.floor(Date.now() / 1000);
const server = await startIssuerServer();
const { origin } = server;
const [key, second, rsa] = [newIssuerKey('k1'), newIssuerKey('k2'), newIssuerKey('r1', 'RS256')];

/** Another authorization server. */
const OTHER = `${origin}/as`;
/** A CI service, whose tokens name the repository. */
const CI = `${origin}/ci`;
/** A directory whose tokens contain usernames. */
const DIRECTORY = `${origin}/directory`;
const trusted = (issuer: string, more: object) => ({
  issuer,
  audience: AUDIENCE,
  tenant: 'acme',
  accounts: {
    claim: 'sub',
    ids: { 'job:acme/site': 'acme-machine', elsewhere: 'globex-machine' },
    clients: { service: 'acme-machine', person: 'bob', elsewhere: 'globex-machine' },
  },
  scopes: ['documents:read'],
  algorithms: ['ES256'],
  ...more,
});
const brokenIssuers = ['redirect', 'huge', 'slow', 'text', 'empty', 'stranger'].map((name) =>
  trusted(`${origin}/${name}`, { ...(name !== 'stranger' && { jwks_uri: `${origin}/${name}` }) }),
);
const OAUTH_ISSUERS = JSON.stringify([
  trusted(OTHER, {
    scopes: ['documents:read', 'documents:write'],
    introspection: { endpoint: `${OTHER}/introspect`, client_id: 'atlas:1', client_secret: 'a secret+' },
  }),
  trusted(CI, {
    jwks_uri: `${CI}/keys`,
    typ: ['JWT', null],
    algorithms: ['RS256'],
    accounts: { claim: 'repository', ids: { 'acme/site': 'acme-machine' } },
  }),
  trusted(DIRECTORY, { accounts: { claim: 'preferred_username' } }),
  ...brokenIssuers,
]);

let booted: Booted;
beforeAll(async () => {
  server.at('/as/.well-known/openid-configuration', () => ({ issuer: OTHER, jwks_uri: `${OTHER}/keys` }));
  server.at('/as/keys', () => ({ keys: [key.jwk, rsa.jwk] }));
  server.at('/ci/keys', () => ({
    keys: [rsa.jwk, { kty: 'oct', kid: 'shared', k: 'c2VjcmV0' }, null, { kid: 1 }],
  }));
  // The path of the issuer comes last (RFC 8414 section 3.1).
  const inOtherPlace = '/.well-known/oauth-authorization-server/directory';
  server.at(inOtherPlace, () => ({ issuer: DIRECTORY, jwks_uri: `${origin}/directory/keys` }));
  server.at('/directory/keys', () => ({ keys: [key.jwk] }));
  booted = await boot({ env: { OAUTH_ISSUERS } });
});
afterAll(async () => {
  await booted.close();
  await server.close();
});

const claimsOf = (iss: string, more: object = {}) => ({
  iss,
  aud: AUDIENCE,
  sub: 'job:acme/site',
  iat: now(),
  exp: now() + 300,
  jti: randomUUID(),
  ...more,
});
const get = (token: string, path = '/demo/oauth') =>
  client(booted.origin).get(path, { Authorization: `Bearer ${token}` });
const expectInvalidToken = ({ status, body }: TestResponse) =>
  expect([status, body.code]).toEqual([401, 'invalid_token']);
const expectUnavailable = ({ status, body }: TestResponse) =>
  expect([status, body.code]).toEqual([503, 'service_unavailable']);

describe('a token of a trusted issuer', () => {
  it('is mapped to the configured account', async () => {
    const scope = 'documents:read documents:write documents:delete';
    const { status, body } = await get(key.sign(claimsOf(OTHER, { client_id: 'theirs', scope })));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: 'acme-machine',
      kind: 'client',
      tenantId: 'acme',
      scopes: ['documents:read', 'documents:write'],
      proofs: [{ method: 'oauth', bound: false, restricted: true, client: 'theirs', amr: [] }],
    });
  });

  it('authenticates a CI job as a machine account, with a token without typ', async () => {
    const job = claimsOf(CI, { sub: 'repo:acme/site:ref:refs/heads/main', repository: 'acme/site' });
    for (const typ of ['JWT', 'application/jwt', undefined])
      expect((await get(rsa.sign(job, { typ, x5t: 'abc' }))).body).toMatchObject({
        id: 'acme-machine',
        kind: 'client',
        scopes: ['documents:read'],
      });
    const { status } = await get(rsa.sign(job, { typ: 'JWT' }), '/documents');
    expect(status).toBe(200);
  });

  it('is mapped to the user of that name, in the issuer’s tenant only', async () => {
    const of = (name: unknown) => get(key.sign(claimsOf(DIRECTORY, { preferred_username: name })));
    expect((await of('Bob')).body).toMatchObject({ id: 'bob', kind: 'user' });
    for (const unknown of ['mallory', 'nobody', ' bob', 'bob\0', '', 1, ['bob'], undefined])
      expectInvalidToken(await of(unknown));
  });

  it('gets at most the configured scopes', async () => {
    const scopes = async (scope: string) => (await get(key.sign(claimsOf(OTHER, { scope })))).body.scopes;
    expect(await scopes('documents:read documents:delete openid')).toEqual(['documents:read']);
    expect(await scopes('profile')).toEqual([]);
    expect(await scopes('')).toEqual([]);
    const { status, body } = await get(key.sign(claimsOf(OTHER, { scope: undefined })));
    expect([status, body.scopes]).toEqual([200, []]);
  });

  it('is rejected as soon as the account is disabled', async () => {
    const token = key.sign(claimsOf(OTHER));
    const { manager } = booted.db;
    expect((await get(token)).status).toBe(200);
    await manager.update(User, { id: 'acme-machine' }, { disabledAt: new Date() });
    expectInvalidToken(await get(token));
    await manager.update(User, { id: 'acme-machine' }, { disabledAt: null });
    expect((await get(token)).status).toBe(200);
  });
});

describe('introspection (RFC 7662)', () => {
  const path = '/as/introspect';
  const opaque = () => `their${randomUUID().replaceAll('-', '')}`;
  const respondWith = (response: unknown) => server.at(path, () => response);
  const active = (more: object = {}) => ({ active: true, ...claimsOf(OTHER), ...more });

  it('sends one authenticated request per token and second', async () => {
    let sent: unknown[] = [];
    server.at(path, ({ headers }, _, body) => {
      sent = [headers.authorization, headers['content-type'], body];
      return active({ client_id: 'theirs', scope: 'documents:read' });
    });
    const [token, before] = [opaque(), server.requestCount(path)];
    const responses = await Promise.all([1, 2, 3, 4, 5].map(() => get(token)));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(server.requestCount(path) - before).toBe(1);
    const basic = Buffer.from('atlas%3A1:a+secret%2B').toString('base64');
    expect(sent[0]).toBe(`Basic ${basic}`);
    expect(sent[1]).toMatch('application/x-www-form-urlencoded');
    expect(sent[2]).toBe(`token=${token}&token_type_hint=access_token`);
    expect(responses[0]!.body).toMatchObject({ id: 'acme-machine', proofs: [{ client: 'theirs' }] });
  });

  it('rejects a revoked opaque token within a second', async () => {
    const token = opaque();
    respondWith(active());
    expect((await get(token)).status).toBe(200);
    const before = server.requestCount(path);
    respondWith({ active: false });
    // The cached response expires after a second.
    while (server.requestCount(path) === before) await get(token);
    expectInvalidToken(await get(token));
  });

  it('is not used for this server’s opaque tokens and malformed tokens', async () => {
    const before = server.requestCount(path);
    const { token } = await issueAccessToken(booted, 'bob', { format: 'opaque' });
    expect((await get(token)).status).toBe(200);
    for (const other of ['short', `${'a'.repeat(20)}.b`, 'a'.repeat(600)])
      expectInvalidToken(await get(other));
    expect(server.requestCount(path)).toBe(before);
  });

  it('maps a response without `sub` to the account of its client', async () => {
    const scope = 'documents:read';
    for (const token_type of [undefined, 'Bearer', 'bearer']) {
      respondWith(active({ sub: undefined, client_id: 'service', scope, token_type }));
      const { status, body } = await get(opaque());
      expect([status, body.id, body.scopes]).toEqual([200, 'acme-machine', [scope]]);
    }
  });

  it('grants no scopes if the response names none', async () => {
    for (const scope of [undefined, '']) {
      respondWith(active({ scope }));
      const { status, body } = await get(opaque());
      expect([status, body.scopes]).toEqual([200, []]);
    }
  });

  it('rejects a token whose introspection response is inactive or incomplete', async () => {
    const invalid = [
      { active: false },
      { active: 'true' },
      { ...active(), active: 1 },
      {},
      [],
      active({ aud: 'https://other.example' }),
      active({ aud: undefined }),
      active({ aud: [AUDIENCE, 'https://other.example'] }),
      active({ iss: CI }),
      active({ exp: undefined }),
      active({ exp: now() }),
      active({ nbf: now() + 60 }),
      active({ sub: undefined }),
      ...['', null, 1, []].map((sub) => active({ sub, client_id: 'service' })),
      ...['person', 'elsewhere', 'unknown', 'constructor', '__proto__', ''].map((client_id) =>
        active({ sub: undefined, client_id }),
      ),
      active({ sub: 'elsewhere' }),
      active({ sub: 'unknown', client_id: 'service' }),
      ...['DPoP', 'mac', 'Refresh', '', 1, null].map((token_type) => active({ token_type })),
      active({ cnf: { jkt: createHash('sha256').update('x').digest('base64url') } }),
      active({ cnf: { jwk: {} } }),
    ];
    for (const response of invalid) {
      respondWith(response);
      const { status } = await get(opaque());
      expect([response, status]).toEqual([response, 401]);
    }
  });

  it('responds 503 if the introspection endpoint fails', async () => {
    const handlers: Parameters<typeof server.at>[1][] = [
      (_, response) => void response.writeHead(500).end('{"active":true}'),
      (_, response) => void response.writeHead(401, { 'Content-Type': 'application/json' }).end('{}'),
      (_, response) => void response.writeHead(302, { Location: '/as/active' }).end(),
      (_, response) => void response.writeHead(200, { 'Content-Type': 'text/html' }).end('{"active":true}'),
      (_, response) => void response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"active":'),
      (_, response) => void response.destroy(),
      () => 'active',
      () => null,
    ];
    server.at('/as/active', () => active());
    for (const handler of handlers) {
      server.at(path, handler);
      expectUnavailable(await get(opaque()));
    }
    expect(server.requestCount('/as/active')).toBe(0);
  });

  it('does not accept a signed introspection response', async () => {
    const jwt = key.sign(
      { ...claimsOf(OTHER), token_introspection: active() },
      { typ: 'token-introspection+jwt' },
    );
    server.at(
      path,
      (_, response) =>
        void response.writeHead(200, { 'Content-Type': 'application/token-introspection+jwt' }).end(jwt),
    );
    expectUnavailable(await get(opaque()));
    expectInvalidToken(await get(jwt));
  });
});

describe('attacks', () => {
  it('rejects a token for another API', async () => {
    for (const aud of [
      'https://other.example',
      [AUDIENCE, 'https://other.example'],
      [],
      undefined,
      `${AUDIENCE}/`,
    ])
      expectInvalidToken(await get(key.sign(claimsOf(OTHER, { aud }))));
    expect((await get(key.sign(claimsOf(OTHER, { aud: [AUDIENCE] })))).status).toBe(200);
  });

  it('rejects a subject without an account in the issuer’s tenant', async () => {
    for (const sub of [
      'job:acme/other',
      'job:acme/site ',
      'JOB:acme/site',
      'elsewhere',
      '__proto__',
      'constructor',
      '',
      undefined,
    ])
      expectInvalidToken(await get(key.sign(claimsOf(OTHER, { sub, client_id: 'service' }))));
  });

  it('rejects a token signed with another issuer’s key', async () => {
    const job = { repository: 'acme/site' };
    expectInvalidToken(await get(rsa.sign(claimsOf(OTHER, job))));
    expectInvalidToken(await get(key.sign(claimsOf(CI, job), { typ: 'JWT' })));
    expectInvalidToken(await get(key.sign(claimsOf(`${OTHER}/`))));
    expectInvalidToken(await get(newIssuerKey('k1').sign(claimsOf(OTHER))));
  });

  it('rejects an unknown issuer without fetching its keys', async () => {
    const stranger = `${origin}/unknown`;
    expectInvalidToken(await get(key.sign(claimsOf(stranger))));
    expect(server.requestCount('/unknown/.well-known/openid-configuration')).toBe(0);
  });

  it('rejects unsigned tokens, HMACs with the public key, and forged headers (RFC 8725)', async () => {
    const token = key.sign(claimsOf(OTHER));
    const [, payload] = token.split('.');
    const headed = (header: object) =>
      `${Buffer.from(JSON.stringify({ typ: 'at+jwt', kid: 'k1', ...header })).toString('base64url')}.${payload}`;
    const hmac = headed({ alg: 'HS256' });
    const pem = key.publicKey.export({ format: 'pem', type: 'spki' });
    const forged = [
      `${headed({ alg: 'none' })}.`,
      `${headed({ alg: 'none' })}.AAAA`,
      `${hmac}.${createHmac('sha256', pem).update(hmac).digest('base64url')}`,
      rsa.sign(claimsOf(OTHER), { alg: 'RS256', kid: 'r1' }),
      ...[
        { jwk: second.jwk },
        { jku: `${origin}/ci/keys` },
        { x5u: origin },
        { x5c: [] },
        { crit: ['exp'], exp: 1 },
        { b64: true },
        { zip: 'DEF' },
        { kid: undefined },
        { kid: ['k1'] },
        { kid: 'toString' },
        { typ: 'JWT' },
        { typ: undefined },
        { typ: 'id_token' },
      ].map((header) => key.sign(claimsOf(OTHER), header)),
      rsa.sign(claimsOf(CI, { repository: 'acme/site' }), { typ: 'at+jwt' }),
      rsa.sign(claimsOf(CI, { repository: 'acme/site' }), { typ: 'JWT', kid: 'shared' }),
      `${token}=`,
      `${token}.`,
      token.slice(0, -1),
      key.sign(claimsOf(OTHER, { junk: 'x'.repeat(9_000) })),
    ];
    for (const each of forged) expectInvalidToken(await get(each));
    expect((await get(token)).status).toBe(200);
  });

  it('rejects expired tokens, tokens not yet valid, and tokens without exp', async () => {
    const wrong = [{ exp: now() }, { exp: undefined }, { nbf: now() + 60 }, { iat: now() + 60 }];
    for (const claims of wrong) expectInvalidToken(await get(key.sign(claimsOf(OTHER, claims))));
  });

  it('fetches the key set at most once for a flood of unknown kids', async () => {
    expect((await get(key.sign(claimsOf(OTHER)))).status).toBe(200);
    const before = server.requestCount('/as/keys');
    const flood = Array.from({ length: 50 }, () => get(key.sign(claimsOf(OTHER), { kid: randomUUID() })));
    for (const response of await Promise.all(flood)) expectInvalidToken(response);
    expect(server.requestCount('/as/keys') - before).toBeLessThanOrEqual(1);
  });

  it('responds 503 if the key set redirects, never ends, is not JSON or belongs to another issuer', async () => {
    let sent = 0;
    server.at('/redirect', (_, response) => void response.writeHead(302, { Location: '/as/keys' }).end());
    server.at('/huge', (_, response) => {
      response.on('drain', () => more()).on('close', () => (sent = -sent));
      const more = () => {
        while (response.write(' '.repeat(64 * 1024)) && (sent += 64 * 1024) < 64 * 1024 * 1024);
      };
      more();
    });
    server.at('/slow', (_, response) => void response.write('{"keys":['));
    server.at('/text', (_, response) => void response.end('keys'));
    server.at('/empty', () => ({}));
    server.at('/stranger/.well-known/openid-configuration', () => ({
      issuer: OTHER,
      jwks_uri: `${origin}/as/keys`,
    }));
    const responses = await Promise.all(
      brokenIssuers.map(async ({ issuer }) => [issuer, await get(key.sign(claimsOf(issuer)))] as const),
    );
    for (const [issuer, { status, body }] of responses)
      expect([issuer, status, body.code]).toEqual([issuer, 503, 'service_unavailable']);
    // The connection was closed long before all data was sent.
    expect(Math.abs(sent)).toBeLessThan(16 * 1024 * 1024);
  });
});
