import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { DEMO_FAPI_KEY } from '../../src/authorization-server/authorization-server.demo.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { OauthClient } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { boot, type TestResponse, type Booted } from '../support/app.js';
import { signIn } from './browser.js';
import {
  CHALLENGE,
  VERIFIER,
  WEB_CALLBACK,
  clientAssertion,
  basicOf,
  claimsOf,
  dpopKey,
  formOf,
  oauthAt,
} from './flows.js';

const FAPI_CALLBACK = 'https://localhost:4443/callback';
const REQUEST = {
  client_id: 'fapi',
  response_type: 'code',
  redirect_uri: FAPI_CALLBACK,
  scope: 'openid documents:read',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 's',
};
const now = () => Math.floor(Date.now() / 1000);

describe('a FAPI 2.0 client', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let key: Awaited<ReturnType<typeof dpopKey>>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    key = await dpopKey();
  });
  afterAll(() => booted.close());

  const expectError = (response: TestResponse, error: string, status = 400) =>
    expect({ status: response.status, error: response.body.error }).toEqual({ status, error });
  const push = async (more: Record<string, string> = {}, claims: Record<string, unknown> = {}) =>
    oauth.post('/request', { ...REQUEST, ...more, ...(await clientAssertion(oauth.issuer, claims)) });
  const authorize = (request_uri: string, client_id = 'fapi') =>
    `${oauth.issuer}/auth?${formOf({ client_id, request_uri })}`;

  /** Sends a proof, and repeats it with the nonce that the server requires. */
  const withProof = async (form: Record<string, string>, prover = key) => {
    const url = `${oauth.issuer}/token`;
    const send = async (claims: Record<string, unknown>) =>
      oauth.post(
        '/token',
        { ...form, ...(await clientAssertion(oauth.issuer)) },
        { DPoP: await prover.proof(url, claims) },
      );
    const first = await send({});
    const nonce = first.headers.get('dpop-nonce');
    return first.body.error === 'use_dpop_nonce' && nonce ? send({ nonce }) : first;
  };
  const codeOf = async (more: Record<string, string> = {}) => {
    const { body } = await push(more);
    const { callback } = await signIn(booted, authorize(body.request_uri));
    return callback;
  };
  const redeem = (code: string, prover = key) =>
    withProof(
      { grant_type: 'authorization_code', code, redirect_uri: FAPI_CALLBACK, code_verifier: VERIFIER },
      prover,
    );

  it('pushes its request and receives DPoP-bound tokens', async () => {
    const pushed = await push();
    expect({ status: pushed.status, lives: pushed.body.expires_in }).toEqual({ status: 201, lives: 60 });
    const { callback } = await signIn(booted, authorize(pushed.body.request_uri));
    expect(callback.searchParams.get('iss')).toBe(oauth.issuer);
    const { status, body } = await redeem(callback.searchParams.get('code')!);
    expect({ status, type: body.token_type }).toEqual({ status: 200, type: 'DPoP' });
    expect(claimsOf(body.access_token)).toMatchObject({
      cnf: { jkt: key.jkt },
      client_id: 'fapi',
      sub: 'bob',
    });
    expect(await oauth.introspect(body.access_token)).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: key.jkt },
    });
  });

  it('keeps its refresh token, also with a new DPoP key (ported from refresh-token)', async () => {
    const { body } = await push({ scope: 'openid offline_access documents:read', prompt: 'consent' });
    const { callback } = await signIn(booted, authorize(body.request_uri));
    const { refresh_token } = (await redeem(callback.searchParams.get('code')!)).body;
    expect(refresh_token).toEqual(expect.any(String));
    for (const prover of [key, key, await dpopKey()]) {
      const refreshed = await withProof({ grant_type: 'refresh_token', refresh_token }, prover);
      expect(refreshed.body).toMatchObject({ token_type: 'DPoP', refresh_token });
      expect(claimsOf(refreshed.body.access_token)).toMatchObject({ cnf: { jkt: prover.jkt } });
    }
    expectError(await oauth.refresh(refresh_token, {}, basicOf('web')), 'invalid_grant');
    expectError(await oauth.refresh(refresh_token, { client_id: 'fapi' }, {}), 'invalid_client', 401);
    const unbound = { grant_type: 'refresh_token', refresh_token, ...(await clientAssertion(oauth.issuer)) };
    expectError(await oauth.post('/token', unbound), 'invalid_grant');
  });

  describe('attacks', () => {
    it('is rejected without a pushed request', async () => {
      const { to } = await oauth.authorize({ client_id: 'fapi', redirect_uri: FAPI_CALLBACK });
      expect(to?.searchParams.get('error')).toBe('invalid_request');
    });

    it('cannot use a request_uri twice (ported from par-attempt-reuse-request_uri)', async () => {
      const { body } = await push();
      await signIn(booted, authorize(body.request_uri));
      const again = await fetch(authorize(body.request_uri), { redirect: 'manual' });
      expect({ status: again.status, to: again.headers.get('location') }).toEqual({ status: 400, to: null });
      expect(await again.text()).toContain('invalid_request_uri');
    });

    it("cannot use another client's, an expired or an invented request_uri (ported from par-attempt-to-use-request_uri-for-different-client)", async () => {
      const { body } = await push();
      for (const url of [
        authorize(body.request_uri, 'web'),
        authorize('urn:ietf:params:oauth:request_uri:made-up'),
      ]) {
        const page = await fetch(url, { redirect: 'manual' });
        expect({ status: page.status, to: page.headers.get('location') }).toEqual({ status: 400, to: null });
      }
      await booted.db.manager.update(
        OauthRecord,
        { kind: 'PushedAuthorizationRequest' },
        { expiresAt: new Date() },
      );
      const expired = await fetch(authorize(body.request_uri), { redirect: 'manual' });
      expect({ status: expired.status, to: expired.headers.get('location') }).toEqual({
        status: 400,
        to: null,
      });
    });

    it('cannot push a request_uri (ported from par-pushed-request_uri-rejected)', async () => {
      expectError(
        await push({ request_uri: 'urn:ietf:params:oauth:request_uri:x' }),
        'request_uri_not_supported',
      );
    });

    it('cannot push an invalid request (ported from par-plain-pkce-rejected, par-without-pkce-fails, invalid-redirect-uri)', async () => {
      expectError(await push({ code_challenge_method: 'plain' }), 'invalid_request');
      expectError(await push({ code_challenge: '', code_challenge_method: '' }), 'invalid_request');
      expectError(await push({ redirect_uri: 'https://evil.example/callback' }), 'invalid_request');
      expectError(await push({ response_type: 'token' }), 'unsupported_response_type');
    });

    it.each<[string, Record<string, unknown>]>([
      ['expired', { exp: now() - 60 }],
      ['without exp', { exp: undefined }],
      ['that is valid for an hour', { exp: now() + 3_600 }],
      ['not yet valid', { nbf: now() + 60 }],
      ['for another audience', { aud: 'https://evil.example' }],
      ['for several audiences', { aud: ['AUDIENCE', 'https://evil.example'] }],
      ['for the issuer, in a list', { aud: ['AUDIENCE'] }],
      [
        'for the token endpoint (ported from par-test-token-endpoint-as-audience-fails)',
        { aud: 'AUDIENCE/token' },
      ],
      [
        'for the PAR endpoint (ported from par-test-par-endpoint-as-audience-fails)',
        { aud: 'AUDIENCE/request' },
      ],
      ['for the issuer with a slash', { aud: 'AUDIENCE/' }],
      ['without an audience', { aud: undefined }],
      ['without a subject', { sub: undefined }],
      ['by another issuer', { iss: 'machine' }],
      ['without jti', { jti: undefined }],
    ])('cannot use a client assertion %s (ported from ensure-client-assertion-*)', async (_, claims) => {
      const claim = JSON.parse(JSON.stringify(claims).replaceAll('AUDIENCE', oauth.issuer)) as object;
      const response = await push({}, { ...claims, ...claim });
      expect([400, 401]).toContain(response.status);
      expect(response.body.error).toBe('invalid_client');
    });

    it('cannot use a client assertion twice', async () => {
      const assertion = await clientAssertion(oauth.issuer);
      expect((await oauth.post('/request', { ...REQUEST, ...assertion })).status).toBe(201);
      expectError(await oauth.post('/request', { ...REQUEST, ...assertion }), 'invalid_client', 401);
    });

    it('gets 503 while used assertions cannot be stored', async () => {
      await booted.db.query('ALTER TABLE used_once RENAME TO used_once_away');
      const response = await push();
      await booted.db.query('ALTER TABLE used_once_away RENAME TO used_once');
      expectError(response, 'temporarily_unavailable', 503);
      expect(response.headers.get('retry-after')).toBe('1');
    });

    it('cannot use an assertion with another key or algorithm, unsigned, or for another client', async () => {
      const other = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey);
      const rsa = await exportJWK((await generateKeyPair('RS256', { extractable: true })).privateKey);
      const { client_assertion_type } = await clientAssertion(oauth.issuer);
      const unsigned = new UnsecuredJWT({ jti: randomUUID() })
        .setIssuer('fapi')
        .setSubject('fapi')
        .setAudience(oauth.issuer)
        .setExpirationTime('1m')
        .encode();
      for (const assertion of [
        await clientAssertion(oauth.issuer, {}, { key: other }),
        await clientAssertion(oauth.issuer, {}, { key: rsa, alg: 'RS256' }),
        { client_assertion_type, client_assertion: unsigned },
      ])
        expectError(await oauth.post('/request', { ...REQUEST, ...assertion }), 'invalid_client', 401);
      const named = { ...REQUEST, ...(await clientAssertion(oauth.issuer)), client_id: 'web' };
      expectError(await oauth.post('/request', named), 'invalid_request');
      expectError(await push({}, { sub: 'web' }), 'invalid_request');
      expectError(await oauth.post('/request', REQUEST, basicOf('fapi', 'x')), 'invalid_client', 401);
    });

    it('receives no tokens without a DPoP proof (ported from ensure-holder-of-key-required)', async () => {
      const code = (await codeOf()).searchParams.get('code')!;
      expectError(
        await oauth.post('/token', {
          grant_type: 'authorization_code',
          code,
          redirect_uri: FAPI_CALLBACK,
          code_verifier: VERIFIER,
          ...(await clientAssertion(oauth.issuer)),
        }),
        'invalid_grant',
      );
      expect((await redeem(code)).status).toBe(200);
    });

    it('binds the refresh token of a public client to its DPoP key', async () => {
      const redirect_uri = 'http://localhost:5173/callback';
      const spa = { client_id: 'spa', redirect_uri };
      const code = await oauth.code({
        ...spa,
        prompt: 'consent',
        scope: 'openid offline_access documents:read',
      });
      const url = `${oauth.issuer}/token`;
      const first = await oauth.redeem(code, spa, { DPoP: await key.proof(url) });
      expect(first.body).toMatchObject({ token_type: 'DPoP' });
      const other = await dpopKey();
      const { refresh_token } = first.body;
      expectError(await oauth.refresh(refresh_token, spa, {}), 'invalid_grant');
      expectError(await oauth.refresh(refresh_token, spa, { DPoP: await other.proof(url) }), 'invalid_grant');
      const second = await oauth.refresh(refresh_token, spa, { DPoP: await key.proof(url) });
      expect(claimsOf(second.body.access_token)).toMatchObject({ cnf: { jkt: key.jkt } });
    });

    it('binds a code to the key in dpop_jkt (RFC 9449 section 10)', async () => {
      const code = (await codeOf({ dpop_jkt: key.jkt })).searchParams.get('code')!;
      expectError(await redeem(code, await dpopKey()), 'invalid_grant');
    });

    it('gets use_dpop_nonce for a proof without a nonce or with an unknown one', async () => {
      const url = `${oauth.issuer}/token`;
      for (const claims of [{}, { nonce: 'x'.repeat(43) }]) {
        const response = await oauth.post(
          '/token',
          {
            grant_type: 'authorization_code',
            code: 'x',
            redirect_uri: FAPI_CALLBACK,
            ...(await clientAssertion(oauth.issuer)),
          },
          { DPoP: await key.proof(url, claims) },
        );
        expectError(response, 'use_dpop_nonce');
        expect(response.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/);
      }
    });

    it('cannot use a proof for another URL, method or time, or twice', async () => {
      const url = `${oauth.issuer}/token`;
      const machine = async (proof: string) =>
        oauth.post('/token', { grant_type: 'client_credentials' }, { ...basicOf('machine'), DPoP: proof });
      for (const claims of [
        { htu: `${oauth.issuer}/request` },
        { htu: url.replace('http:', 'https:') },
        { htm: 'GET' },
        { htm: undefined },
        { jti: undefined },
      ])
        expectError(await machine(await key.proof(url, claims)), 'invalid_dpop_proof');
      expectError(await machine(await key.proof(url, { iat: now() - 600 })), 'use_dpop_nonce');
      expectError(await machine('a.b.c'), 'invalid_dpop_proof');
      const proof = await key.proof(url);
      expect((await machine(proof)).body.token_type).toBe('DPoP');
      expectError(await machine(proof), 'invalid_grant');
      expectError(await machine(`${await key.proof(url)}, ${await key.proof(url)}`), 'invalid_dpop_proof');
    });

    describe('with a request object', () => {
      const signed = async (
        claims: Record<string, unknown> = {},
        jwk: JWK = DEMO_FAPI_KEY,
        alg = 'ES256',
      ) => {
        const all = {
          iss: 'fapi',
          aud: oauth.issuer,
          nbf: now(),
          exp: now() + 60,
          jti: randomUUID(),
          ...REQUEST,
          ...claims,
        };
        return new SignJWT(JSON.parse(JSON.stringify(all)) as Record<string, unknown>)
          .setProtectedHeader({ alg })
          .sign(await importJWK(jwk, alg));
      };
      const pushed = async (request: string, more: Record<string, string> = {}) =>
        oauth.post('/request', {
          request,
          client_id: 'fapi',
          ...more,
          ...(await clientAssertion(oauth.issuer)),
        });

      it('uses the request object and ignores other parameters', async () => {
        const { status, body } = await pushed(await signed(), { scope: 'openid documents:delete' });
        expect(status).toBe(201);
        const { callback } = await signIn(booted, authorize(body.request_uri));
        const tokens = await redeem(callback.searchParams.get('code')!);
        expect(tokens.body.scope).toBe('openid documents:read');
      });

      it.each<[string, Record<string, unknown>]>([
        ['that is expired', { exp: now() - 60 }],
        ['without exp', { exp: undefined }],
        ['that is valid for more than an hour', { nbf: now(), exp: now() + 3_700 }],
        ['that is older than an hour', { nbf: now() - 3_700 }],
        ['that is not yet valid', { nbf: now() + 120 }],
        ['without nbf', { nbf: undefined }],
        ['without nbf, but with iat', { nbf: undefined, iat: now() }],
        ['whose nbf is text', { nbf: String(now()) }],
        ['for another server', { aud: 'https://evil.example' }],
        ['without an audience', { aud: undefined }],
        ['by another client', { iss: 'web' }],
        ['with the client_id of another client', { client_id: 'web' }],
        ['that contains a request_uri', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }],
      ])('rejects one %s (ported from ensure-request-object-*)', async (_, claims) => {
        expectError(await pushed(await signed(claims)), 'invalid_request_object');
      });

      it('rejects one with another key, unsigned or malformed (ported from ensure-request-object-with-alg-none-fails)', async () => {
        const other = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey);
        expectError(await pushed(await signed({}, other)), 'invalid_request_object');
        const unsigned = new UnsecuredJWT(REQUEST)
          .setIssuer('fapi')
          .setAudience(oauth.issuer)
          .setExpirationTime('1m')
          .setNotBefore('0s')
          .encode();
        expectError(await pushed(unsigned), 'invalid_request_object');
        expectError(await pushed('not a JWT'), 'invalid_request_object');
      });

      it('rejects an HMAC with the client secret', async () => {
        const request = await new SignJWT({ ...REQUEST, redirect_uri: WEB_CALLBACK, client_id: 'web' })
          .setProtectedHeader({ alg: 'HS256' })
          .setIssuer('web')
          .setAudience(oauth.issuer)
          .setExpirationTime('1m')
          .sign(Buffer.from('web-demo-secret-0123456789abcdef'));
        expectError(
          await oauth.post('/request', { request, client_id: 'web' }, basicOf('web')),
          'invalid_request_object',
        );
      });
    });
  });
});

describe('a signed backchannel authentication request', () => {
  const CIBA_CLIENT = 'signed-ciba';
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    const { d: _private, ...publicJwk } = DEMO_FAPI_KEY;
    await booted.app.get(ClientsService, { strict: false }).upsert(CIBA_CLIENT, {
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['urn:openid:params:grant-type:ciba'],
      response_types: [],
      redirect_uris: [],
      backchannel_token_delivery_mode: 'poll',
      backchannel_authentication_request_signing_alg: 'ES256',
      jwks: { keys: [publicJwk] },
      resource_scopes: 'documents:read',
    });
    await booted.db.manager.update(OauthClient, { id: CIBA_CLIENT }, { tenantId: 'acme' });
  });
  afterAll(() => booted.close());

  const ask = async (claims: Record<string, unknown>) => {
    const all = {
      iss: CIBA_CLIENT,
      aud: oauth.issuer,
      iat: now(),
      nbf: now(),
      exp: now() + 60,
      jti: randomUUID(),
      scope: 'openid documents:read',
      login_hint: 'bob',
      binding_message: 'W-4711',
      ...claims,
    };
    const request = await new SignJWT(JSON.parse(JSON.stringify(all)) as Record<string, unknown>)
      .setProtectedHeader({ alg: 'ES256' })
      .sign(await importJWK(DEMO_FAPI_KEY, 'ES256'));
    const assertion = await clientAssertion(oauth.issuer, {}, { id: CIBA_CLIENT });
    return oauth.post('/backchannel', { request, client_id: CIBA_CLIENT, ...assertion });
  };

  it('starts a request', async () => {
    expect((await ask({})).body).toMatchObject({ auth_req_id: expect.any(String), expires_in: 300 });
  });

  it.each<[string, Record<string, unknown>]>([
    ['without iat', { iat: undefined }],
    ['without nbf', { nbf: undefined }],
    ['without jti', { jti: undefined }],
    ['with an empty jti', { jti: '' }],
    ['without exp', { exp: undefined }],
    ['without an audience', { aud: undefined }],
    ['for another server', { aud: 'https://evil.example' }],
    ['without an issuer', { iss: undefined }],
    ['by another issuer', { iss: 'web' }],
    ['that is expired', { exp: now() - 60 }],
    ['that expires in 70 minutes', { exp: now() + 4_200 }],
    ['that is valid from 70 minutes ago', { nbf: now() - 4_200 }],
    ['that is valid from in 10 minutes', { nbf: now() + 600 }],
  ])('is rejected %s (ported from fapi-ciba ensure-request-object-*)', async (_, claims) => {
    const { status, body } = await ask(claims);
    expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' });
  });
});
