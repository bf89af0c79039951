import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, type JWK } from 'jose';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { SigningKey } from '../../src/crypto/signing-key.entity.js';
import { SigningKeys } from '../../src/crypto/signing-keys.service.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { basicOf, claimsOf, clientAssertion, headerOf, oauthAt } from './flows.js';

const REDIRECT = { redirect_uris: ['https://client.example/callback'] };

describe('settings of single clients', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let alice: ReturnType<typeof client>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    alice = client(booted.origin, basicOf('alice', DEMO_PASSWORD));
  });
  afterAll(() => booted.close());

  const create = async (metadata: object) => {
    const { status, body } = await alice.post('/oauth/clients', { ...REDIRECT, ...metadata });
    expect(status).toBe(201);
    const id = String(body.client_id);
    return { id, auth: basicOf(id, String(body.client_secret)), redirect_uri: REDIRECT.redirect_uris[0]! };
  };
  type Registered = Awaited<ReturnType<typeof create>>;
  const NO_PKCE = { code_challenge: '', code_challenge_method: '' };
  const codeOf = ({ id, redirect_uri }: Registered, more = {}) =>
    oauth.code({ client_id: id, redirect_uri, scope: 'openid', ...more });
  const redeem = ({ auth, redirect_uri }: Registered, code: string, more = {}) =>
    oauth.post('/token', { grant_type: 'authorization_code', code, redirect_uri, ...more }, auth);

  describe('require_pkce: false', () => {
    let web: Registered;
    beforeAll(async () => (web = await create({ require_pkce: false })));

    it('lets a confidential client sign in without PKCE', async () => {
      const { status, body } = await redeem(web, await codeOf(web, NO_PKCE));
      expect({ status, sub: claimsOf(body.id_token)['sub'] }).toEqual({ status: 200, sub: 'bob' });
    });

    it('still verifies PKCE if the client uses it', async () => {
      const wrong = await redeem(web, await codeOf(web), { code_verifier: 'w'.repeat(43) });
      expect(wrong.body.error).toBe('invalid_grant');
      expect((await redeem(web, await codeOf(web))).body.error).toBe('invalid_grant');
    });

    it('rejects a verifier for a code without a challenge, as after a downgrade', async () => {
      const code = await codeOf(web, NO_PKCE);
      expect((await redeem(web, code, { code_verifier: 'v'.repeat(43) })).body.error).toBe('invalid_grant');
    });

    it('is not the default', async () => {
      for (const metadata of [{}, { require_pkce: true }]) {
        const { id, redirect_uri } = await create(metadata);
        const { to } = await oauth.authorize({ client_id: id, redirect_uri, ...NO_PKCE });
        expect(to?.searchParams.get('error')).toBe('invalid_request');
      }
    });
  });

  describe('client_assertion_aud_restricted_to_issuer: false', () => {
    let key: JWK;
    let relaxed: string;
    let strict: string;
    beforeAll(async () => {
      const pair = await generateKeyPair('ES256', { extractable: true });
      key = await exportJWK(pair.privateKey);
      const metadata = {
        token_endpoint_auth_method: 'private_key_jwt',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        resource_scopes: 'documents:read',
        account: 'acme-machine',
        jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' }] },
      };
      ({ id: strict } = await create(metadata));
      ({ id: relaxed } = await create({ ...metadata, client_assertion_aud_restricted_to_issuer: false }));
    });
    const tokenFor = async (id: string, aud: unknown) =>
      oauth.post('/token', {
        grant_type: 'client_credentials',
        ...(await clientAssertion(oauth.issuer, { aud }, { key, id })),
      });

    it('accepts the token endpoint and the endpoint of the request as audience', async () => {
      const { issuer } = oauth;
      for (const aud of [issuer, `${issuer}/token`, [issuer], [`${issuer}/token`, issuer]])
        expect({ aud, status: (await tokenFor(relaxed, aud)).status }).toEqual({ aud, status: 200 });
      const assertion = await clientAssertion(
        issuer,
        { aud: `${issuer}/token/introspection` },
        { key, id: relaxed },
      );
      expect((await oauth.post('/token/introspection', { token: 'x', ...assertion })).status).toBe(200);
    });

    it('rejects every other audience', async () => {
      const { issuer } = oauth;
      for (const aud of [
        `${issuer}/auth`,
        `${issuer}/token/introspection`,
        'https://evil.example',
        [issuer, 'https://evil.example'],
        [],
        undefined,
      ])
        expect({ aud, error: (await tokenFor(relaxed, aud)).body.error }).toEqual({
          aud,
          error: 'invalid_client',
        });
    });

    it('is not the default', async () => {
      expect((await tokenFor(strict, oauth.issuer)).status).toBe(200);
      expect((await tokenFor(strict, `${oauth.issuer}/token`)).body.error).toBe('invalid_client');
    });
  });

  describe('id_token_signed_response_alg: RS256', () => {
    let web: Registered;
    const algsOf = async () =>
      ((await client(booted.origin).get('/oidc/jwks')).body.keys as { alg: string }[])
        .map(({ alg }) => alg)
        .toSorted();
    const idTokenOf = async (registered: Registered) =>
      String(
        (await redeem(registered, await codeOf(registered), { code_verifier: 'v'.repeat(43) })).body.id_token,
      );
    const reloadKeys = () => Object.assign(booted.app.get(OidcProviderService), { checkedAt: 0 });

    it('creates the RSA key for the first client, signs its ID tokens and publishes the key', async () => {
      expect(await algsOf()).toEqual(['ES256']);
      web = await create({ id_token_signed_response_alg: 'RS256' });
      expect(await algsOf()).toEqual(['ES256', 'RS256']);
      const keys = createRemoteJWKSet(new URL(`${oauth.issuer}/jwks`));
      const { payload } = await jwtVerify(await idTokenOf(web), keys, {
        algorithms: ['RS256'],
        audience: web.id,
      });
      expect(payload.sub).toBe('bob');
      await create({ id_token_signed_response_alg: 'RS256' });
      expect(await algsOf()).toEqual(['ES256', 'RS256']);
    });

    it('leaves the ID tokens of other clients and all access tokens with ES256', async () => {
      const { id_token, access_token } = await oauth.tokens();
      expect([id_token, access_token].map((token) => headerOf(token)['alg'])).toEqual(['ES256', 'ES256']);
    });

    it('stores the private key encrypted', async () => {
      const { sealed, kid } = await booted.db.manager.findOneByOrFail(SigningKey, { alg: 'RS256' });
      expect(kid).toMatch(/^[\w-]{43}$/);
      expect(Buffer.from(sealed.split('.')[1]!, 'base64url').toString('latin1')).not.toContain('PRIVATE KEY');
    });

    it('rotates the RSA key with the others, and replaces it with them', async () => {
      const before = await idTokenOf(web);
      await booted.db.manager.update(SigningKey, { generation: 1 }, { activeFrom: new Date(0) });
      await booted.app.get(SigningKeys).rotate(Date.now() - 11 * 60_000);
      reloadKeys();
      expect(await algsOf()).toEqual(['ES256', 'ES256', 'RS256', 'RS256']);
      const rotated = await idTokenOf(web);
      expect(headerOf(rotated)['kid']).not.toBe(headerOf(before)['kid']);
      await booted.app.get(SigningKeys).replaceCompromised();
      reloadKeys();
      expect(await algsOf()).toEqual(['ES256', 'RS256']);
      const { kid, alg } = headerOf(await idTokenOf(web));
      expect(alg).toBe('RS256');
      expect(kid).not.toBe(headerOf(rotated)['kid']);
    });

    it('creates one key if two processes start at once', async () => {
      await booted.db.manager.delete(SigningKey, { alg: 'RS256' });
      const keys = booted.app.get(SigningKeys);
      await Promise.all([1, 2, 3].map(() => keys.ensureKey('RS256')));
      expect(await booted.db.manager.countBy(SigningKey, { alg: 'RS256' })).toBe(1);
    });
  });

  describe('attacks', () => {
    const RELAXED: [string, object][] = [
      ['require_pkce', { require_pkce: false }],
      ['client_assertion_aud_restricted_to_issuer', { client_assertion_aud_restricted_to_issuer: false }],
      ['id_token_signed_response_alg', { id_token_signed_response_alg: 'RS256' }],
    ];
    const register = async (metadata: object, token?: object) => {
      const { body } = await alice.post('/oauth/initial-access-tokens', token);
      const headers = { Authorization: `Bearer ${body.initial_access_token}` };
      return client(booted.origin).post('/oidc/reg', { ...REDIRECT, ...metadata }, headers);
    };

    it.each(RELAXED)('does not relax %s for a public or FAPI client', async (name, metadata) => {
      const { keys } = (await alice.get('/oidc/jwks')).body;
      for (const more of [
        { token_endpoint_auth_method: 'none' },
        {
          security_profile: 'fapi-2.0',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys },
          dpop_bound_access_tokens: true,
          require_pushed_authorization_requests: true,
        },
      ]) {
        const strict = await alice.post('/oauth/clients', { ...REDIRECT, ...more });
        expect(strict.status).toBe(201);
        const { status, body } = await alice.post('/oauth/clients', { ...REDIRECT, ...more, ...metadata });
        expect({ status, code: body.code }).toEqual({ status: 422, code: 'invalid_client_metadata' });
        expect(body.detail).toContain(name);
      }
    });

    it.each(RELAXED)(
      'lets an invited client relax %s only if its token allows it',
      async (name, metadata) => {
        const allowed = { allow_relaxed_settings: true };
        const { status, body } = await register(metadata, allowed);
        expect([status, body]).toEqual([201, expect.objectContaining(metadata)]);
        const isPublic = { token_endpoint_auth_method: 'none' };
        const refused = await register({ ...metadata, ...isPublic }, allowed);
        expect([refused.status, refused.body.error]).toEqual([400, 'invalid_client_metadata']);
        expect((await register(metadata, { allow_relaxed_settings: false })).status).toBe(400);
        const unreadable = await alice.post('/oauth/initial-access-tokens', {
          allow_relaxed_settings: 'yes',
        });
        expect([name, unreadable.status]).toEqual([name, 422]);
      },
    );

    it.each(RELAXED)('does not let a client relax %s itself', async (name, metadata) => {
      for (const more of [{}, { token_endpoint_auth_method: 'none' }]) {
        const refused = await register({ ...more, ...metadata });
        expect({ status: refused.status, error: refused.body.error }).toEqual({
          status: 400,
          error: 'invalid_client_metadata',
        });
        expect(refused.body.error_description).toContain(name);

        const { body } = await register(more);
        const { client_id, client_secret } = body;
        const registration = new URL(body.registration_client_uri);
        const updated = await client(booted.origin).send('PUT', registration.pathname, {
          body: { client_id, ...(client_secret && { client_secret }), ...REDIRECT, ...more, ...metadata },
          headers: { Authorization: `Bearer ${body.registration_access_token}` },
        });
        expect({ status: updated.status, error: updated.body.error }).toEqual({
          status: 400,
          error: 'invalid_client_metadata',
        });
      }
    });

    it('rejects values of another type', async () => {
      for (const value of ['false', 0, null, {}])
        for (const name of ['require_pkce', 'client_assertion_aud_restricted_to_issuer']) {
          const { status } = await alice.post('/oauth/clients', { ...REDIRECT, [name]: value });
          expect({ name, value, status }).toEqual({ name, value, status: 422 });
        }
      for (const alg of ['none', 'HS256', 'PS256']) {
        const { status } = await alice.post('/oauth/clients', {
          ...REDIRECT,
          id_token_signed_response_alg: alg,
        });
        expect({ alg, status }).toEqual({ alg, status: 422 });
      }
    });
  });
});
