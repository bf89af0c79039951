import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { accessTokenId } from '../../src/access-tokens/access-token.entity.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { Settings } from '../../src/config/settings.js';
import { SigningKey } from '../../src/crypto/signing-key.entity.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { User } from '../../src/users/user.entity.js';
import { issueAccessToken, signWithActiveKey, type TokenOptions } from '../support/access-tokens.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { clientCert, selfSigned } from '../support/certificate.js';
import { contract } from './oauth.contract.js';
import { SCOPES } from '../../src/permissions.js';
import { SECOND_FACTOR } from '../../src/authentication/factors.js';

satisfiesTheContract(contract);

const { certificate, renewed, other } = await selfSigned();
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

let booted: Booted;
let publicUrl: string;
beforeAll(async () => {
  booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' } });
  ({ publicUrl } = booted.app.get(Settings));
});
afterAll(() => booted.close());

const issue = (userId: string, options?: TokenOptions) => issueAccessToken(booted, userId, options);
const get = (token: string, path = '/demo/oauth', more: Record<string, string> = {}) =>
  client(booted.origin).get(path, { ...bearer(token), ...more });
const send = (token: string, method: string, path: string, body?: unknown) =>
  client(booted.origin).send(method, path, { headers: { ...bearer(token), 'If-Match': '"1"' }, body });
/** The status of a request with a token made from these options. */
const statusOf = async (userId: string, options?: TokenOptions) =>
  (await get((await issue(userId, options)).token)).status;

const challenge = (params: string) =>
  `Bearer realm="auth-atlas", resource_metadata="${publicUrl}/.well-known/oauth-protected-resource"${params}`;
function expectInvalidToken(response: TestResponse) {
  expect([response.status, response.body.code]).toEqual([401, 'invalid_token']);
  expect(response.headers.get('www-authenticate')).toContain(challenge(', error="invalid_token"'));
}

describe('the resource server', () => {
  it('publishes its metadata, and names the URL in the challenge', async () => {
    const { headers } = await client(booted.origin).get('/demo/oauth');
    expect(headers.get('www-authenticate')).toBe(challenge(''));
    const [, url = ''] = /resource_metadata="([^"]*)"/.exec(headers.get('www-authenticate')!) ?? [];
    const response = await client(booted.origin).get(new URL(url).pathname);
    expect(response.headers.get('content-type')).toMatch('application/json');
    expect(response.body).toMatchObject({
      resource: publicUrl,
      authorization_servers: [`${publicUrl}/oidc`],
      scopes_supported: SCOPES,
      bearer_methods_supported: ['header'],
      tls_client_certificate_bound_access_tokens: true,
      authorization_details_types_supported: ['document'],
    });
  });

  it.each(['jwt', 'opaque'] as const)('accepts a token of this server: %s', async (format) => {
    const { token, id } = await issue('bob', { format, scope: 'openid documents:read' });
    const { status, body } = await get(token);
    expect(status).toBe(200);
    expect(body).toEqual({
      id: 'bob',
      kind: 'user',
      tenantId: 'acme',
      roles: ['editor'],
      scopes: ['documents:read'],
      proofs: [
        {
          method: 'oauth',
          credentialId: id,
          at: expect.any(String),
          amr: ['pwd'],
          bound: false,
          restricted: true,
          client: 'web',
        },
      ],
    });
  });

  it('maps a client credentials token to the machine account of the client', async () => {
    const { token } = await issue('acme-machine', { clientId: 'machine', claims: { sub: 'machine' } });
    const { body } = await get(token);
    expect(body).toMatchObject({ id: 'acme-machine', kind: 'client', proofs: [{ client: 'machine' }] });
  });

  it('takes the time of the sign-in from auth_time, not from iat', async () => {
    const { body } = await get((await issue('bob', { claims: { auth_time: now() - 1000 } })).token);
    expect(Date.parse(body.proofs[0].at) / 1000).toBeLessThan(now() - 900);
  });

  it('ignores amr and acr without auth_time, because a person may have signed in long ago', async () => {
    const { token } = await issue('bob', {
      claims: { amr: ['mfa'], acr: SECOND_FACTOR, auth_time: undefined },
    });
    expect((await get(token)).body.proofs[0]).toMatchObject({ amr: [], at: new Date(0).toISOString() });
  });

  it('permits no document access without a scope of this API', async () => {
    const { token } = await issue('alice', { scope: 'openid' });
    expect((await get(token)).body.scopes).toEqual([]);
    expect((await get(token, '/documents')).status).toBe(403);
  });

  it('records the client and the actor in the audit log', async () => {
    const act = { sub: 'machine', act: { sub: 'device' } };
    const { token } = await issue('bob', { claims: { act: { ...act, iss: 'ignored' } } });
    expect((await get(token)).body.proofs[0]).toMatchObject({ client: 'web', act });
    expect((await send(token, 'POST', '/documents', { title: 'by another' })).status).toBe(201);
    const [event] = await booted.db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
    expect(event).toMatchObject({ userId: 'bob', method: 'oauth', details: { client: 'web', act } });
  });
});

describe('the response to missing permissions', () => {
  it('is 403 with the missing scope (RFC 6750)', async () => {
    const { token } = await issue('bob', { scope: 'documents:read' });
    const response = await send(token, 'POST', '/documents', { title: 'a draft' });
    expect([response.status, response.body.code]).toEqual([403, 'insufficient_scope']);
    expect(response.body.detail).toBe("The credential's scopes do not allow this.");
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(', error="insufficient_scope", scope="documents:write"'),
    );
  });

  it('is 401 with the required step-up (RFC 9470), and a token with that step-up is accepted', async () => {
    const path = '/documents/alice-draft-confidential';
    const response = await send((await issue('alice')).token, 'DELETE', path);
    expect([response.status, response.body.code]).toEqual([401, 'insufficient_user_authentication']);
    expect(response.body.detail).toMatch('requires a second factor');
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(', error="insufficient_user_authentication", acr_values="mfa", max_age="300"'),
    );
    const old = { acr: 'mfa', auth_time: now() - 301 };
    expect((await send((await issue('alice', { claims: old })).token, 'DELETE', path)).status).toBe(401);
    const fresh = { acr: 'mfa', auth_time: now() - 200 };
    expect((await send((await issue('alice', { claims: fresh })).token, 'DELETE', path)).status).toBe(204);
  });

  it('has no challenge if no scope and no step-up would suffice', async () => {
    const { token } = await issue('carol', { scope: 'documents:read' });
    const response = await send(token, 'DELETE', '/documents/alice-published-public');
    expect([response.status, response.body.code]).toEqual([403, 'forbidden']);
    expect(response.headers.get('www-authenticate')).toBeNull();
  });

  it('has no challenge for methods that cannot express it', async () => {
    const alice = client(booted.origin, as({ id: 'alice', roles: ['admin'], scopes: ['documents:read'] }));
    const response = await alice.send('POST', '/documents', { body: { title: 'a draft' } });
    expect([response.status, response.body.code]).toEqual([403, 'forbidden']);
    expect(response.headers.get('www-authenticate')).toBeNull();
  });

  it('is recorded as a denied action, not as an invalid credential', async () => {
    await send((await issue('alice')).token, 'DELETE', '/documents/alice-published-confidential');
    await booted.app.get(AuditLog).flush();
    const [event] = await booted.db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 1 });
    expect(event).toMatchObject({ event: 'authz_fail', userId: 'alice', details: { client: 'web' } });
  });
});

describe('a token with authorization details (RFC 9396)', () => {
  const details = [
    { type: 'document', identifier: 'bob-draft-public', actions: ['read', 'update'] },
    { type: 'document', identifier: 'bob-draft-internal', actions: ['read'] },
  ];

  it.each(['jwt', 'opaque'] as const)(
    'permits only the listed documents and actions, in lists too: %s',
    async (format) => {
      const { token } = await issue('bob', {
        format,
        scope: 'openid',
        claims: { authorization_details: details },
        content: { rar: details },
      });
      const { body } = await get(token);
      expect(body).toMatchObject({
        authorizationDetails: details,
        scopes: ['documents:read', 'documents:write'],
      });
      const { items } = (await get(token, '/documents')).body as { items: { id: string }[] };
      expect(items.map(({ id }) => id).toSorted()).toEqual(['bob-draft-internal', 'bob-draft-public']);
      expect((await get(token, '/documents/bob-draft-confidential')).status).toBe(404);
      const change = { title: 'changed' };
      expect((await send(token, 'PATCH', '/documents/bob-draft-internal', change)).status).toBe(403);
      expect((await send(token, 'PATCH', '/documents/bob-draft-public', { body: format })).status).toBe(
        format === 'jwt' ? 200 : 412,
      );
      expect((await send(token, 'DELETE', '/documents/bob-draft-public')).status).toBe(403);
      expect((await send(token, 'POST', '/documents', change)).status).toBe(403);
    },
  );

  it('permits nothing beyond the account and the scopes', async () => {
    const statusWith = async (scope: string, identifier: string) => {
      const claims = { authorization_details: [{ type: 'document', identifier, actions: ['read'] }] };
      return (await get((await issue('bob', { scope, claims })).token, `/documents/${identifier}`)).status;
    };
    expect(await statusWith('openid', 'mallory-published-public')).toBe(404);
    expect(await statusWith('documents:read', 'bob-draft-public')).toBe(200);
    expect(await statusWith('documents:delete', 'bob-draft-public')).toBe(403);
  });

  it.each([
    [[{ type: 'payment', amount: 1 }]],
    [[{ type: 'document', identifier: 'bob-draft-public', actions: ['own'] }]],
    [[{ type: 'document', identifier: 'bob-draft-public', actions: ['read'], until: 'tomorrow' }]],
    [[{ type: 'document', identifier: '\0', actions: ['read'] }]],
    ['document'],
  ])('is rejected if a detail is unknown: %j', async (authorization_details) => {
    expect(await statusOf('bob', { claims: { authorization_details } })).toBe(401);
  });
});

describe('a token is invalid', () => {
  it.each(['jwt', 'opaque'] as const)(
    'after all sign-ins of its account ended, or its row was deleted: %s',
    async (format) => {
      const { token, revoke } = await issue('carol', { format });
      const { manager } = booted.db;
      expect((await get(token)).status).toBe(200);
      await manager.increment(User, { id: 'carol' }, 'epoch', 1);
      expectInvalidToken(await get(token));
      await manager.decrement(User, { id: 'carol' }, 'epoch', 1);
      expect((await get(token)).status).toBe(200);
      await revoke();
      expectInvalidToken(await get(token));
    },
  );

  it('when its signing key has been retired for ten minutes', async () => {
    const { token } = await issue('bob');
    expect((await get(token)).status).toBe(200);
    const [{ kid } = { kid: '' }] = await booted.app.get(SigningKeys).published();
    const { manager } = booted.db;
    const retire = (retiredAt: Date | null) => manager.update(SigningKey, { kid }, { retiredAt });
    await retire(new Date());
    expect((await get(token)).status).toBe(200);
    await retire(new Date(Date.now() - 10 * 60_000));
    expectInvalidToken(await get(token));
    await retire(null);
    expect((await get(token)).status).toBe(200);
  });

  it('after its exp claim or the expiry of its row, whichever is earlier', async () => {
    expect(await statusOf('bob', { claims: { exp: now() } })).toBe(401);
    expect(await statusOf('bob', { claims: { exp: now() + 5 } })).toBe(200);
    expect(await statusOf('bob', { row: { expiresAt: new Date() } })).toBe(401);
    expect(await statusOf('bob', { format: 'opaque', row: { expiresAt: new Date() } })).toBe(401);
  });
});

describe('attacks', () => {
  it('rejects a token for another API, for several, or for none', async () => {
    const others = [
      undefined,
      'https://other.example',
      [publicUrl],
      [publicUrl, 'https://other.example'],
      `${publicUrl}/`,
    ];
    for (const aud of others) {
      expectInvalidToken(await get((await issue('bob', { claims: { aud } })).token));
      expectInvalidToken(
        await get((await issue('bob', { format: 'opaque', content: { aud } as never })).token),
      );
    }
  });

  it('does not treat a client named like a user as that user', async () => {
    const own = await issue('acme-machine', { clientId: 'bob', claims: { sub: 'bob' } });
    expect((await get(own.token)).body).toMatchObject({ id: 'acme-machine', kind: 'client' });
    expectInvalidToken(await get((await issue('bob', { clientId: 'bob' })).token));
    expectInvalidToken(await get((await issue('acme-machine', { claims: { sub: 'bob' } })).token));
    expectInvalidToken(await get((await issue('bob', { claims: { client_id: 'machine' } })).token));
  });

  it('rejects signed introspection responses and other JWT types of this server', async () => {
    const claims = {
      iss: `${publicUrl}/oidc`,
      aud: publicUrl,
      iat: now(),
      token_introspection: { active: true },
    };
    for (const typ of ['token-introspection+jwt', 'logout+jwt', 'JWT', 'jwt', 'AT+JWT', undefined]) {
      expectInvalidToken(await get(await signWithActiveKey(booted, claims, { typ })));
      expectInvalidToken(await get((await issue('bob', { header: { typ } })).token));
    }
  });

  it('stores no usable token in the database', async () => {
    const { token, id } = await issue('bob', { format: 'opaque' });
    const dump = JSON.stringify(await booted.db.query(`SELECT * FROM access_tokens`));
    expect(dump).toContain(id);
    expect(dump).not.toContain(token);
    expectInvalidToken(await get(id));
  });

  it('rejects a jti as an opaque token, an opaque token as a jti, and tokens of other methods', async () => {
    const jwt = await issue('bob');
    const { jti } = JSON.parse(Buffer.from(jwt.token.split('.')[1]!, 'base64url').toString()) as {
      jti: string;
    };
    const opaque = await issue('bob', { format: 'opaque' });
    await get(jwt.token);
    expectInvalidToken(await get(jti));
    expectInvalidToken(
      await get((await issue('bob', { claims: { jti: opaque.token }, row: { id: randomUUID() } })).token),
    );
    for (const other of [`atlas_${'a'.repeat(43)}`, 'a'.repeat(43)]) expectInvalidToken(await get(other));
    // The method `jwt` has another issuer with the same keys.
    const claims = { iss: publicUrl, aud: publicUrl, sub: 'bob', sid: randomUUID(), jti: randomUUID() };
    expect(
      (await get(await signWithActiveKey(booted, { ...claims, iat: now(), exp: now() + 60 }))).status,
    ).toBe(401);
  });

  it('rejects a certificate-bound token without its certificate or with another', async () => {
    for (const format of ['jwt', 'opaque'] as const) {
      const { token } = await issue('bob', { format, cnf: { 'x5t#S256': certificate.thumbprint } });
      expectInvalidToken(await get(token));
      expectInvalidToken(await get(token, '/demo/oauth', clientCert(other)));
      const { status, body } = await get(token, '/demo/oauth', clientCert(certificate));
      expect([status, body.proofs[0].bound]).toEqual([200, true]);
    }
  });

  it('rejects a certificate-bound token without TLS, also with an untrusted Client-Cert header', async () => {
    const plain = await boot();
    const { token } = await issueAccessToken(plain, 'bob', { cnf: { 'x5t#S256': certificate.thumbprint } });
    const at = client(plain.origin);
    expectInvalidToken(await at.get('/demo/oauth', bearer(token)));
    expectInvalidToken(await at.get('/demo/oauth', { ...bearer(token), ...clientCert(certificate) }));
    await plain.close();
  });

  it('rejects a certificate-bound token after the certificate was renewed, even with the same key', async () => {
    const { token } = await issue('bob', { cnf: { 'x5t#S256': certificate.thumbprint } });
    expect((await get(token, '/demo/oauth', clientCert(certificate))).status).toBe(200);
    expectInvalidToken(await get(token, '/demo/oauth', clientCert(renewed)));
    expectInvalidToken(await get(token, '/demo/oauth', clientCert(other)));
  });

  it('rejects a DPoP-bound token as a bearer token, and a token with an unknown cnf member', async () => {
    const jkt = createHash('sha256').update('a key').digest('base64url');
    expectInvalidToken(await get((await issue('bob', { cnf: { jkt } })).token));
    expectInvalidToken(await get((await issue('bob', { format: 'opaque', cnf: { jkt } })).token));
    for (const cnf of [{}, { kid: 'x' }, { jwk: {} }, { 'x5t#S256': 1 }, { jkt: '' }, 'x', null])
      expect(await statusOf('bob', { claims: { cnf } })).toBe(401);
    const more = { 'x5t#S256': certificate.thumbprint, 'x5t#S512': 'x' };
    expectInvalidToken(
      await get(
        (await issue('bob', { claims: { cnf: more } })).token,
        '/demo/oauth',
        clientCert(certificate),
      ),
    );
    const both = await issue('bob', { cnf: { jkt, 'x5t#S256': certificate.thumbprint } });
    expectInvalidToken(await get(both.token, '/demo/oauth', clientCert(certificate)));
  });

  it('rejects unsigned tokens, HMACs with the public key, and forged headers (RFC 8725)', async () => {
    const { token } = await issue('bob');
    const [header = '', payload = '', signature = ''] = token.split('.');
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string };
    const none = ['none', 'None', 'nOnE'].flatMap((alg) => {
      const input = `${encode({ alg, typ: 'at+jwt', kid })}.${payload}`;
      return [`${input}.`, `${input}.${signature}`];
    });
    const publicKey = createPublicKey({
      key: (await booted.app.get(SigningKeys).jwks())[0] as JsonWebKey as never,
      format: 'jwk',
    });
    const secrets = [
      publicKey.export({ format: 'pem', type: 'spki' }),
      publicKey.export({ format: 'der', type: 'spki' }),
    ];
    const hmacs = secrets.map((secret) => {
      const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${payload}`;
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    });
    const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = attacker.publicKey.export({ format: 'jwk' });
    const headers = [
      { jwk },
      { jku: 'https://attacker.example' },
      { x5u: 'https://attacker.example' },
      { x5c: ['MIIB'] },
      { crit: ['exp'] },
      { crit: [], b64: false },
      { zip: 'DEF' },
      { kid: undefined },
      { kid: `${kid}'--` },
      { kid: '../../dev/null' },
      { kid: 'constructor' },
      { alg: 'ES384' },
    ];
    const forgedHeaders = await Promise.all(
      headers.map(async (each) => (await issue('bob', { header: each })).token),
    );
    const zeros = `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`;
    const changed = `${header}.${encode({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'alice' })}.${signature}`;
    const spellings = [
      `${token}=`,
      `${token}.`,
      `${header}.${payload}.${signature}\n`.trimEnd() + '%0A',
      `${header}. ${payload}.${signature}`,
    ];
    for (const each of [...none, ...hmacs, ...forgedHeaders, zeros, changed, ...spellings])
      expectInvalidToken(await get(each));
    expect((await get(token)).status).toBe(200);
  });

  it('rejects missing and malformed claims', async () => {
    const wrong: Record<string, unknown>[] = [
      { iss: `${publicUrl}/oidc/` },
      { sub: undefined },
      { sub: '' },
      { sub: ['bob'] },
      { sub: 'alice' },
      { client_id: undefined },
      { client_id: 'spa' },
      { jti: undefined },
      { jti: 'another' },
      { jti: 1 },
      { iat: undefined },
      { iat: now() + 60 },
      { nbf: now() + 60 },
      { nbf: 'now' },
      { exp: undefined },
      { exp: `${now() + 60}` },
      { exp: now() + 60.5 },
      { exp: 1e300 },
      { exp: null },
      { scope: ['documents:read'] },
      { auth_time: '0' },
      { amr: 'mfa' },
      { act: 'machine' },
      { act: { sub: 1 } },
      { act: [1, 2, 3, 4, 5, 6].reduce<object>((act, n) => ({ sub: `${n}`, act }), { sub: '0' }) },
    ];
    for (const claims of wrong) expect([claims, await statusOf('bob', { claims })]).toEqual([claims, 401]);
  });

  it('ignores a token in the URL or in the body', async () => {
    const { token } = await issue('bob');
    const anonymous = client(booted.origin);
    const inUrl = await anonymous.get(`/demo/oauth?access_token=${token}`);
    expect([inUrl.status, inUrl.body.code]).toEqual([401, 'unauthenticated']);
    const inBody = await anonymous.post('/documents', { access_token: token, title: 'x' });
    expect([inBody.status, inBody.body.code]).toEqual([401, 'unauthenticated']);
  });

  it('rejects a well-formed token that was never issued', async () => {
    const claims = {
      iss: `${publicUrl}/oidc`,
      aud: publicUrl,
      sub: 'bob',
      client_id: 'web',
      iat: now(),
      exp: now() + 60,
    };
    expectInvalidToken(await get(await signWithActiveKey(booted, { ...claims, jti: randomUUID() })));
    expectInvalidToken(await get(accessTokenId('opaque', 'x')));
  });
});
