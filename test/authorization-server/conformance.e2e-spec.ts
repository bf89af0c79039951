import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify, UnsecuredJWT } from 'jose';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { Browser, signIn, type Page } from './browser.js';
import { CHALLENGE, VERIFIER, basicOf, claimsOf, formOf, headerOf, oauthAt } from './flows.js';

/**
 * The modules of the OpenID Foundation's conformance suite, as far as they can be expressed without it. The text in
 * parentheses is the module's name. docs/reference/conformance.md lists the plans and the modules that are not supported.
 */
describe('OpenID Connect conformance', () => {
  const REDIRECT_URI = 'https://client.example/callback';
  const HOME = 'https://client.example/signed-out';
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let alice: ReturnType<typeof client>;
  let web: { id: string; auth: Record<string, string> };
  let metadata: Record<string, unknown>;
  let browser: Browser;

  const create = async (more: object = {}) => {
    const { status, body } = await alice.post('/oauth/clients', {
      client_name: 'Conformance',
      redirect_uris: [REDIRECT_URI, `${REDIRECT_URI}?dummy1=lorem&dummy2=ipsum`],
      post_logout_redirect_uris: [HOME],
      grant_types: ['authorization_code', 'refresh_token'],
      require_pkce: false,
      id_token_signed_response_alg: 'RS256',
      ...more,
    });
    expect(status).toBe(201);
    const [id, secret] = [String(body.client_id), String(body.client_secret)];
    return { id, secret, auth: basicOf(id, secret) };
  };
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    alice = client(booted.origin, basicOf('alice', DEMO_PASSWORD));
    web = await create();
    metadata = (await alice.get('/oidc/.well-known/openid-configuration')).body;
  });
  beforeEach(() => void (browser = new Browser(booted.origin)));
  afterAll(() => booted.close());

  /** The authorization request of the suite: without PKCE. Omits parameters that are set to `''`. */
  const request = (more: Record<string, string> = {}) =>
    oauth.authorization({
      client_id: web.id,
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      code_challenge: '',
      code_challenge_method: '',
      ...more,
    });
  const respond = async (more: Record<string, string> = {}) =>
    (await signIn(booted, request(more), 'bob', { browser })).callback.searchParams;
  const redeem = async (code: string | null, more: Record<string, string> = {}, auth = web.auth) =>
    oauth.post(
      '/token',
      { grant_type: 'authorization_code', code: code ?? '', redirect_uri: REDIRECT_URI, ...more },
      auth,
    );
  const tokensOf = async (more: Record<string, string> = {}) => {
    const { status, body } = await redeem((await respond(more)).get('code'));
    expect(status).toBe(200);
    return body as Record<'access_token' | 'id_token' | 'refresh_token', string>;
  };
  const userinfo = (token: string) => alice.get('/oidc/me', { Authorization: `Bearer ${token}` });
  /** Sends a request without a person. @returns the parameters of the redirect to the client, or the page */
  const send = async (more: Record<string, string>) => {
    const there = await browser.open(request(more));
    return there instanceof URL ? Object.fromEntries(there.searchParams) : there;
  };
  const expectErrorPage = (there: Page | object) => expect(there).toMatchObject({ status: 400 });

  describe('basic plan', () => {
    it('a code is exchanged for an ID token that its client can verify (oidcc-server, oidcc-idtoken-signature)', async () => {
      const response = await respond({ nonce: 'n', state: 's' });
      expect(Object.fromEntries(response)).toMatchObject({ state: 's', iss: oauth.issuer });
      const { id_token, access_token } = (await redeem(response.get('code'))).body;
      const { payload, protectedHeader } = await jwtVerify(
        id_token,
        createRemoteJWKSet(new URL(String(metadata['jwks_uri']))),
        { issuer: oauth.issuer, audience: web.id, algorithms: ['RS256'] },
      );
      expect(protectedHeader.kid).toEqual(expect.any(String));
      expect(payload).toMatchObject({ sub: 'bob', nonce: 'n' });
      expect((await userinfo(access_token)).body.sub).toBe('bob');
    });

    it('a request without response_type is rejected (oidcc-response-type-missing)', async () => {
      expect(await send({ response_type: '' })).toMatchObject({
        error: 'invalid_request',
        state: expect.any(String),
      });
    });

    it('unsigned ID tokens are not offered (oidcc-idtoken-unsigned)', async () => {
      expect(metadata['id_token_signing_alg_values_supported']).not.toContain('none');
    });

    it('userinfo accepts the token in GET, in POST and in a form (oidcc-userinfo-get, -post-header, -post-body)', async () => {
      const { access_token } = await tokensOf();
      const bearer = { Authorization: `Bearer ${access_token}` };
      const responses = [
        await userinfo(access_token),
        await oauth.post('/me', '', bearer),
        await oauth.post('/me', { access_token }),
      ];
      for (const { status, body } of responses)
        expect({ status, sub: body.sub }).toEqual({ status: 200, sub: 'bob' });
    });

    it.each<[string, Record<string, string>]>([
      ['without a nonce (oidcc-ensure-request-without-nonce-succeeds-for-code-flow)', { nonce: '' }],
      ['with display=page (oidcc-display-page)', { display: 'page' }],
      ['with display=popup (oidcc-display-popup)', { display: 'popup' }],
      [
        'with an unknown parameter (oidcc-ensure-request-with-unknown-parameter-succeeds)',
        { extra: 'foobar' },
      ],
      ['with a login_hint (oidcc-login-hint)', { login_hint: 'buffy@example.com' }],
      ['with ui_locales (oidcc-ui-locales)', { ui_locales: 'se' }],
      ['with claims_locales (oidcc-claims-locales)', { claims_locales: 'se' }],
      ['with acr_values (oidcc-ensure-request-with-acr-values-succeeds)', { acr_values: '1 2' }],
      ['with max_age=10000 (oidcc-max-age-10000)', { max_age: '10000' }],
      [
        'with an essential claim (oidcc-claims-essential)',
        { claims: JSON.stringify({ userinfo: { name: { essential: true } } }) },
      ],
    ])('a request %s succeeds', async (_, more) => {
      const { id_token } = await tokensOf(more);
      expect(claimsOf(id_token)).toMatchObject({
        sub: 'bob',
        ...(more['max_age'] && { auth_time: expect.any(Number) }),
      });
    });

    it('the scopes of the metadata can be requested in any order (oidcc-scope-profile, oidcc-ensure-other-scope-order-succeeds)', async () => {
      expect(metadata['scopes_supported']).toEqual(expect.arrayContaining(['openid', 'profile']));
      const { access_token } = await tokensOf({ scope: 'profile openid' });
      expect((await userinfo(access_token)).body).toMatchObject({ sub: 'bob', preferred_username: 'bob' });
    });

    it('prompt=login asks for the password again (oidcc-prompt-login)', async () => {
      await respond();
      const page = await browser.page(request({ prompt: 'login' }));
      expect(page.form?.buttons.map(({ text }) => text)).toContain('Sign in');
      expect(claimsOf((await tokensOf({ prompt: 'login' })).id_token)['sub']).toBe('bob');
    });

    it('prompt=none fails without a session (oidcc-prompt-none-not-logged-in)', async () => {
      expect(await send({ prompt: 'none', state: 's' })).toMatchObject({
        error: 'login_required',
        state: 's',
      });
    });

    it('prompt=none and id_token_hint use the session (oidcc-prompt-none-logged-in, oidcc-id-token-hint)', async () => {
      const first = await tokensOf({ max_age: '10000' });
      for (const more of [{ id_token_hint: '' }, { id_token_hint: first.id_token }]) {
        const { code } = (await send({ prompt: 'none', max_age: '10000', ...more })) as Record<
          string,
          string
        >;
        const { sub, auth_time } = claimsOf((await redeem(code!)).body.id_token);
        expect({ sub, auth_time }).toEqual({ sub: 'bob', auth_time: claimsOf(first.id_token)['auth_time'] });
      }
    });

    it('max_age=1 requires a new sign-in after a second (oidcc-max-age-1)', async () => {
      const first = claimsOf((await tokensOf({ max_age: '1' })).id_token)['auth_time'] as number;
      const isRefused = async () => 'error' in (await send({ prompt: 'none', max_age: '1' }));
      while (!(await isRefused()));
      const second = claimsOf((await tokensOf({ max_age: '1' })).id_token)['auth_time'] as number;
      expect(second).toBeGreaterThan(first);
    });

    it('a code is valid once, and its tokens end with a second use (oidcc-codereuse, oidcc-codereuse-30seconds)', async () => {
      const code = (await respond()).get('code');
      const { access_token } = (await redeem(code)).body;
      expect((await redeem(code)).body).toMatchObject({ error: 'invalid_grant' });
      expect((await userinfo(access_token)).status).toBe(401);
    });

    it.each<[string, Record<string, string>]>([
      [
        'that is not registered (oidcc-ensure-registered-redirect-uri)',
        { redirect_uri: 'https://evil.example/' },
      ],
      ['that is missing (oidcc-ensure-redirect-uri-in-authorization-request)', { redirect_uri: '' }],
      [
        'with another query (oidcc-redirect-uri-query-mismatch)',
        { redirect_uri: `${REDIRECT_URI}?dummy1=lorem&foo=bar` },
      ],
      ['with an added query (oidcc-redirect-uri-query-added)', { redirect_uri: `${REDIRECT_URI}?foo=bar` }],
    ])('a redirect URI %s is an error page, not a redirect', async (_, more) => {
      expectErrorPage(await send(more));
    });

    it('a redirect URI with its registered query is used (oidcc-redirect-uri-query-OK)', async () => {
      const redirect_uri = `${REDIRECT_URI}?dummy1=lorem&dummy2=ipsum`;
      const response = await respond({ redirect_uri });
      expect(Object.fromEntries(response)).toMatchObject({ dummy1: 'lorem', dummy2: 'ipsum' });
      expect((await redeem(response.get('code'), { redirect_uri })).status).toBe(200);
    });

    it('the request can be posted (oidcc-ensure-post-request-succeeds)', async () => {
      const posted = await browser.post('/oidc/auth', request().searchParams, {
        'Sec-Fetch-Site': 'cross-site',
      });
      const { callback } = await signIn(booted, posted.headers.get('location')!, 'bob', { browser });
      expect((await redeem(callback.searchParams.get('code'))).status).toBe(200);
    });

    it('a client can send its secret in the form (oidcc-server-client-secret-post)', async () => {
      const { id, secret } = await create({ token_endpoint_auth_method: 'client_secret_post' });
      const code = (await respond({ client_id: id })).get('code');
      const { status } = await redeem(code, { client_id: id, client_secret: secret }, {});
      expect(status).toBe(200);
    });

    it('request_uri and unsigned request objects are rejected, as in the metadata (oidcc-request-uri-unsigned…, oidcc-unsigned-request-object…)', async () => {
      expect(metadata['request_uri_parameter_supported']).toBe(false);
      expect(metadata['request_object_signing_alg_values_supported']).not.toContain('none');
      const unsigned = new UnsecuredJWT(Object.fromEntries(request().searchParams))
        .setIssuer(web.id)
        .setAudience(oauth.issuer)
        .setExpirationTime('1m')
        .encode();
      expect(await send({ request_uri: 'https://client.example/request' })).toMatchObject({
        error: 'request_uri_not_supported',
      });
      expect(await send({ request: unsigned })).toMatchObject({ error: 'invalid_request_object' });
    });

    it('a refresh token works, for its own client only (oidcc-refresh-token)', async () => {
      const { refresh_token } = await tokensOf({ scope: 'openid offline_access', prompt: 'consent' });
      const other = await create();
      expect((await oauth.refresh(refresh_token, {}, other.auth)).body.error).toBe('invalid_grant');
      const { status, body } = await oauth.refresh(refresh_token, {}, web.auth);
      expect({ status, sub: claimsOf(body.id_token)['sub'] }).toEqual({ status: 200, sub: 'bob' });
    });

    it('PKCE is used if the client sends it (oidcc-ensure-request-with-valid-pkce-succeeds)', async () => {
      const pkce = { code_challenge: CHALLENGE, code_challenge_method: 'S256' };
      const code = (await respond(pkce)).get('code');
      expect((await redeem(code, { code_verifier: VERIFIER })).status).toBe(200);
    });
  });

  describe('form post plan', () => {
    it('the response is a form for the redirect URI, with a button', async () => {
      const { browser: signedIn } = await signIn(booted, request(), 'bob', { browser });
      const { form } = await signedIn.page(request({ response_mode: 'form_post', state: 's' }));
      expect(form).toMatchObject({ action: REDIRECT_URI, buttons: [{ text: 'Continue' }] });
      const fields = Object.fromEntries(form!.fields);
      expect(fields).toMatchObject({ state: 's', iss: oauth.issuer });
      expect((await redeem(fields['code']!)).status).toBe(200);
    });

    it('an error is a form, too', async () => {
      const { form } = await browser.page(request({ response_mode: 'form_post', prompt: 'none' }));
      expect(Object.fromEntries(form!.fields)).toMatchObject({ error: 'login_required' });
    });
  });

  describe('config plan', () => {
    it('the metadata has every required member, and each is true (oidcc-discovery-endpoint-verification)', async () => {
      expect(metadata).toMatchObject({
        issuer: oauth.issuer,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        claims_parameter_supported: true,
        request_parameter_supported: true,
        request_uri_parameter_supported: false,
        code_challenge_methods_supported: ['S256'],
      });
      expect(metadata['scopes_supported']).toContain('openid');
      expect(metadata['claims_supported']).toEqual(
        expect.arrayContaining(['sub', 'iss', 'auth_time', 'name']),
      );
      expect(metadata['id_token_signing_alg_values_supported']).toEqual(
        expect.arrayContaining(['ES256', 'RS256']),
      );
      const { keys } = (await alice.get('/oidc/jwks')).body as { keys: { kty: string }[] };
      expect(keys.map(({ kty }) => kty).toSorted()).toEqual(['EC', 'RSA']);
      for (const key of keys) {
        expect(key).toMatchObject({ kid: expect.any(String), use: 'sig', alg: expect.any(String) });
        for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(key).not.toHaveProperty(secret);
      }
    });
  });

  describe('dynamic plan', () => {
    const register = async (more: object) => {
      const { body } = await alice.post('/oauth/initial-access-tokens');
      const headers = { Authorization: `Bearer ${body.initial_access_token}` };
      return client(booted.origin).post('/oidc/reg', { redirect_uris: [REDIRECT_URI], ...more }, headers);
    };

    it.each<[string, object]>([
      [
        'a redirect URI with a fragment (oidcc-redirect-uri-regfrag)',
        { redirect_uris: [`${REDIRECT_URI}#foo`] },
      ],
      [
        'a sector identifier without its redirect URIs (oidcc-registration-sector-bad)',
        { sector_identifier_uri: 'https://client.invalid/sector' },
      ],
    ])('%s cannot be registered', async (_, more) => {
      const { status, body } = await register(more);
      expect({ status, error: body.error }).toEqual({
        status: 400,
        error: expect.stringMatching(/^invalid_(redirect_uri|client_metadata)$/),
      });
    });

    it.each<[string, object]>([
      [
        'a query in its redirect URI (oidcc-redirect-uri-query-OK)',
        { redirect_uris: [`${REDIRECT_URI}?foo=bar`] },
      ],
      [
        'policy_uri and tos_uri (oidcc-registration-policy-uri, -tos-uri)',
        { policy_uri: 'https://client.example/policy', tos_uri: 'https://client.example/tos' },
      ],
      ['logo_uri (oidcc-registration-logo-uri)', { logo_uri: 'https://client.example/logo.png' }],
      [
        'jwks_uri (oidcc-registration-jwks-uri)',
        { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://client.example/jwks' },
      ],
    ])('a client can be registered with %s', async (_, more) => {
      expect(await register(more)).toMatchObject({ status: 201, body: more });
    });
  });

  describe('RP-initiated logout plan', () => {
    const endSession = async (more: Record<string, string>) => {
      const { id_token } = await tokensOf();
      const all = { id_token_hint: id_token, post_logout_redirect_uri: HOME, state: 's', ...more };
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
      return browser.page(`${booted.origin}/oidc/session/end?${formOf(given)}`);
    };
    const isSignedIn = async () => !('error' in (await send({ prompt: 'none' })));

    it('signs the person out after a confirmation and redirects with the state (oidcc-rp-initiated-logout)', async () => {
      expect(metadata['end_session_endpoint']).toBe(`${oauth.issuer}/session/end`);
      const done = (await browser.submit(await endSession({}), {}, 'Sign out')) as URL;
      expect(done.href).toBe(`${HOME}?state=s`);
      expect(await isSignedIn()).toBe(false);
    });

    it('redirects without a state if there was none (oidcc-rp-initiated-logout-no-state)', async () => {
      const done = (await browser.submit(await endSession({ state: '' }), {}, 'Sign out')) as URL;
      expect(done.href).toBe(HOME);
    });

    it.each<[string, Record<string, string>]>([
      [
        'that is not registered (…-bad-post-logout-redirect-uri)',
        { post_logout_redirect_uri: 'https://evil.example/' },
      ],
      [
        'with an added query (…-query-added-to-post-logout-redirect-uri)',
        { post_logout_redirect_uri: `${HOME}?foo=bar` },
      ],
    ])('a post_logout_redirect_uri %s is an error page, and the session stays', async (_, more) => {
      expectErrorPage(await endSession(more));
      expect(await isSignedIn()).toBe(true);
    });

    it('a modified id_token_hint is an error page (…-modified-id-token-hint, …-bad-id-token-hint)', async () => {
      const { id_token } = await tokensOf();
      for (const id_token_hint of [`${id_token.slice(0, -8)}AAAAAAAA`, 'x.y.z']) {
        expectErrorPage(await endSession({ id_token_hint }));
        expect(await isSignedIn()).toBe(true);
      }
      expect(headerOf(id_token)['alg']).toBe('RS256');
    });

    it.each<[string, Record<string, string>]>([
      ['without id_token_hint (…-no-id-token-hint)', { id_token_hint: '' }],
      ['without parameters (…-no-params)', { id_token_hint: '', post_logout_redirect_uri: '', state: '' }],
      ['with only a state (…-only-state)', { id_token_hint: '', post_logout_redirect_uri: '' }],
      ['without post_logout_redirect_uri (…-no-post-logout-redirect-uri)', { post_logout_redirect_uri: '' }],
    ])('a request %s is confirmed and ends on a page of the server', async (_, more) => {
      const done = await browser.submit(await endSession(more), {}, 'Sign out');
      expect((done as Page).text).toContain('You are signed out');
      expect(await isSignedIn()).toBe(false);
    });
  });
});
