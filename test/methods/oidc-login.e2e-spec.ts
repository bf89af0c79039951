import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import type { Principal } from '../../src/authentication/principal.js';
import * as oidcLogin from '../../src/methods/oidc-login/index.js';
import { signInUrl } from '../../src/methods/oidc-login/oidc-login.client.js';
import type { OidcProvider } from '../../src/methods/oidc-login/oidc-login.config.js';
import { OidcIdentity } from '../../src/methods/oidc-login/oidc-login.entity.js';
import { OidcProviders } from '../../src/methods/oidc-login/oidc-login.providers.service.js';
import { User } from '../../src/users/user.entity.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { mailsTo } from '../accounts/mails.js';
import { RANDOM_SECRET, as, boot, client, type Booted } from '../support/app.js';
import { testIssuer, withTestToken } from '../support/test-issuer.js';
import { Browser } from './oidc-login.browser.js';
import { newKey, providerConfig } from './oidc-login.fake-provider.js';

import {
  INVALID_STATE,
  INVALID_IDENTITY,
  startSignIn,
  booted,
  reconfigure,
  sendCallback,
  events,
  identities,
  issuer,
  linkIdentity,
  op,
  other,
  issuedPrincipal,
  providers,
  readResponse,
  signIn,
  setUp,
  expectNoChange,
  users,
} from './oidc-login.harness.js';
import { startProvider, signInAtProvider, type TestProvider } from './oidc-login.provider.js';

setUp();

describe('oidc-login', () => {
  it('starts without providers and lists none', async () => {
    const bare = await boot({ methods: [oidcLogin, testIssuer] });
    const { get } = client(bare.origin);
    expect(await get('/auth/oidc')).toMatchObject({ status: 200, body: { items: [] } });
    for (const path of ['/auth/oidc/google?as=test-issuer', '/auth/oidc/google/callback?code=x&state=y'])
      expect(await get(path)).toMatchObject({ status: 404, body: { code: 'unknown_provider' } });
    await bare.close();
  });

  it('lists the providers without secrets and client ids', async () => {
    const { body } = await client(booted.origin).get('/auth/oidc');
    expect(body.items).toContainEqual({ id: 'op', name: 'op', tenant: 'acme' });
    expect(JSON.stringify(body)).not.toMatch(/secret|atlas/);
  });

  it('sends the browser to the provider with state, nonce and PKCE challenge', async () => {
    const { response, location } = await startSignIn();
    expect(response.status).toBe(303);
    expect(location.origin + location.pathname).toBe(`${op.issuer}/auth`);
    const random = expect.stringMatching(/^[\w-]{43}$/);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      response_type: 'code',
      client_id: 'atlas',
      redirect_uri: providers.redirectUri(providers.find('op')),
      scope: 'openid',
      state: random,
      nonce: random,
      code_challenge: random,
      code_challenge_method: 'S256',
    });
    const [cookie, ...more] = response.headers.getSetCookie();
    expect(more).toEqual([]);
    expect(cookie).toMatch(/^oidc-op=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/);
    for (const secret of ['state', 'nonce']) expect(cookie).not.toContain(location.searchParams.get(secret)!);
  });

  it('signs in the linked account', async () => {
    const identity = await linkIdentity('bob');
    const response = await signIn();
    expect([response.status, response.headers.get('x-test-token')]).toEqual([200, response.body.test_token]);
    expect(issuedPrincipal(response)).toEqual({
      id: 'bob',
      kind: 'user',
      tenantId: 'acme',
      roles: ['editor'],
      proofs: [
        {
          method: 'oidc-login',
          credentialId: identity.id,
          at: expect.any(Date),
          amr: [],
          bound: false,
          signIn: true,
        },
      ],
    });
    const { status, body } = await client(booted.origin, withTestToken(response.body.test_token)).get('/me');
    expect([status, body.id]).toEqual([200, 'bob']);
    expect(response.headers.getSetCookie()).toEqual(['oidc-op=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0']);
  });

  it('rejects an identity that is not linked', async () => {
    op.overrides.sub = 'stranger';
    await expectNoChange(async () => {
      const { status, body, headers } = await signIn();
      expect([status, body.code, headers.get('www-authenticate')]).toEqual([
        401,
        'identity_not_linked',
        'TestToken realm="test"',
      ]);
    });
    const [event] = (await events({ event: 'authn_login_fail', method: 'oidc-login' })).slice(-1);
    expect(event!.details).toEqual({
      code: 'identity_not_linked',
      reason: 'no account is linked to this subject',
      provider: 'op',
    });
  });

  it('creates an account at the first sign-in if configured, and finds it at the next', async () => {
    op.overrides.sub = randomUUID();
    op.overrides.claims = {
      preferred_username: 'alice',
      name: 'Alice Example',
      email: 'alice@acme.test',
      email_verified: true,
    };
    const first = issuedPrincipal(await signIn('open'));
    expect(first).toMatchObject({ kind: 'user', tenantId: 'acme', roles: ['viewer'] });
    expect(issuedPrincipal(await signIn('open')).id).toBe(first.id);
    const { username, name } = await booted.db.manager.findOneByOrFail(User, { id: first.id });
    expect({ username, name }).toEqual({ username: `open.${first.id}`, name: null });
    expect(await events({ event: 'sensitive_create', target: `user:${first.id}` })).toMatchObject([
      { userId: first.id, tenantId: 'acme', method: 'oidc-login', details: { provider: 'open' } },
    ]);
  });

  it('creates one account for concurrent first sign-ins', async () => {
    op.overrides.sub = randomUUID();
    const before = await users();
    const responses = await Promise.all(Array.from({ length: 4 }, () => signIn('open')));
    expect(new Set(responses.map((response) => issuedPrincipal(response).id)).size).toBe(1);
    expect(await users()).toBe(before + 1);
  });

  it('takes the time of the sign-in from auth_time; without it, the sign-in is never recent', async () => {
    await linkIdentity('bob');
    const now = Math.floor(Date.now() / 1000);
    for (const [authTime, expected] of [
      [now - 3600, now - 3600],
      [undefined, 0],
    ] as const) {
      op.overrides.claims = { auth_time: authTime };
      expect(issuedPrincipal(await signIn()).proofs[0].at).toEqual(new Date(expected * 1000));
    }
  });

  it.each([3600, 1e300])('rejects an auth_time %d seconds in the future', async (ahead) => {
    await linkIdentity('bob');
    op.overrides.claims = { auth_time: Math.floor(Date.now() / 1000) + ahead };
    await expectNoChange(async () => {
      const { status, body } = await signIn();
      expect([status, body.code]).toEqual([401, 'invalid_identity']);
    });
  });

  it('rejects a sign-in at the provider that is older than maxAge', async () => {
    await linkIdentity('bob');
    reconfigure('op', { maxAge: 300 });
    const now = Math.floor(Date.now() / 1000);
    expect((await startSignIn()).location.searchParams.get('max_age')).toBe('300');
    for (const [authTime, status] of [
      [now - 100, 200],
      [now - 1000, 401],
      [undefined, 401],
    ] as const) {
      op.overrides.claims = { auth_time: authTime };
      expect([authTime, (await signIn()).status]).toEqual([authTime, status]);
    }
  });

  describe('for an account with a second factor', () => {
    beforeEach(async () => {
      await linkIdentity('dave');
      await booted.db.manager.update(User, { id: 'dave' }, { mfaSince: new Date() });
    });
    afterEach(async () => {
      await booted.db.manager.update(User, { id: 'dave' }, { mfaSince: null });
    });

    it('starts the second step, and issues nothing', async () => {
      const before = issuer.tokens.size;
      const { status, body } = await signIn();
      expect([status, body.code]).toEqual([401, 'mfa_required']);
      expect(body.mfa_token).toEqual(expect.any(String));
      expect(issuer.tokens.size).toBe(before);
    });

    it('needs none if a trusted provider has checked one', async () => {
      op.overrides.claims = { amr: ['mfa'] };
      expect((await signIn()).status).toBe(401);
      reconfigure('op', { trustAmr: true });
      expect((await signIn()).status).toBe(200);
      op.overrides.claims = { amr: ['pwd'] };
      expect((await signIn()).status).toBe(401);
    });

    it('sends a browser to the page of the second step', async () => {
      const { browser, location } = await startSignIn('op', { as: 'ambient', returnTo: '/documents' });
      const back = op.authorize(location);
      const response = await sendCallback(browser, back, { Accept: 'text/html' });
      expect([response.status, response.headers.get('location')]).toEqual([303, '/account/second-step']);
    });
  });

  it('takes amr only from a provider with trustAmr', async () => {
    await linkIdentity('bob');
    op.overrides.claims = { amr: ['pwd', 'otp', 'not valid!', 7] };
    expect(issuedPrincipal(await signIn()).proofs[0].amr).toEqual([]);
    reconfigure('op', { trustAmr: true });
    expect(issuedPrincipal(await signIn()).proofs[0].amr).toEqual(['pwd', 'otp']);
  });

  it('rejects an ID token without the required claims', async () => {
    await linkIdentity('bob');
    reconfigure('op', { claims: { hd: 'acme.test' } });
    for (const [hd, status] of [
      ['acme.test', 200],
      ['evil.test', 401],
      [undefined, 401],
      [['acme.test'], 401],
    ] as const) {
      op.overrides.claims = { hd };
      expect([hd, (await signIn()).status]).toEqual([hd, status]);
    }
  });

  it('redirects to returnTo only if the credential is a cookie', async () => {
    await linkIdentity('bob');
    const kept = await signIn('op', undefined, { as: 'ambient', returnTo: '/openapi?page=1#top' });
    expect([kept.status, kept.headers.get('location'), kept.text]).toEqual([303, '/openapi?page=1#top', '']);
    const { response } = await startSignIn('op', { as: 'test-issuer', returnTo: '/openapi' });
    expect([response.status, response.body.code, response.body.errors[0].field]).toEqual([
      400,
      'invalid_query',
      'returnTo',
    ]);
  });

  it('rejects an unknown method and unknown query parameters', async () => {
    for (const [query, field] of [
      ['', 'as'],
      ['?as=telepathy', 'as'],
      ['?as=oidc-login', 'as'],
      ['?as=test-issuer&as=test-issuer', 'as'],
      ['?as=test-issuer&prompt=none', 'prompt'],
    ]) {
      const { status, body } = await client(booted.origin).get(`/auth/oidc/op${query}`);
      expect([query, status, body.code, body.errors?.[0].field]).toEqual([
        query,
        400,
        'invalid_query',
        field,
      ]);
    }
  });

  it('supports two pending sign-ins at two providers in one browser', async () => {
    await linkIdentity('bob');
    const { browser, location } = await startSignIn('op');
    const second = await browser.get(signInUrl(booted.origin, { provider: 'other', as: 'test-issuer' }));
    other.overrides.sub = randomUUID();
    expect((await sendCallback(browser, op.authorize(location))).status).toBe(200);
    expect((await sendCallback(browser, other.authorize(second.headers.get('location')!))).status).toBe(200);
  });

  describe('linking', () => {
    const fresh = async (id: string, more: Partial<Principal> = {}) => {
      const proof = {
        method: 'test-issuer',
        credentialId: 'x',
        at: new Date(),
        amr: [],
        bound: false,
        signIn: true,
      } as const;
      return as({ id, proofs: [proof], ...more });
    };

    it('links an identity, lists it and unlinks it, which ends all sign-ins', async () => {
      const me = client(booted.origin, await fresh('carol'));
      const begun = await me.post('/auth/oidc/op/link');
      expect([begun.status, Object.keys(begun.body)]).toEqual([200, ['url']]);
      const [cookie = ''] = begun.headers.getSetCookie();
      op.overrides.sub = randomUUID();
      const back = op.authorize(begun.body.url as string);
      const browser = new Browser();
      const response = await sendCallback(browser, back, { Cookie: cookie.split(';')[0] });
      const identity = { provider: 'op', issuer: op.issuer, subject: op.overrides.sub, lastUsedAt: null };
      expect([response.status, response.body]).toEqual([200, expect.objectContaining(identity)]);
      expect((await me.get('/oidc-identities')).body.items).toEqual([response.body]);

      const signedIn = await signIn();
      expect(issuedPrincipal(signedIn).id).toBe('carol');
      const last = await me.send('DELETE', `/oidc-identities/${response.body.id}`);
      expect([last.status, last.body.code]).toEqual([409, 'last_sign_in_method']);
      expect((await me.get('/oidc-identities')).body.items).toHaveLength(1);
      const other = { id: randomUUID(), userId: 'carol', issuer: 'https://other.example', subject: 'carol' };
      const row = { ...other, provider: 'other', createdAt: new Date(), lastUsedAt: null };
      await booted.db.manager.insert(OidcIdentity, row);

      const unlinked = await me.send('DELETE', `/oidc-identities/${response.body.id}`);
      expect([unlinked.status, Object.keys(unlinked.body)]).toEqual([200, ['test_token']]);
      const statusOf = async (id: string) =>
        (await client(booted.origin, withTestToken(id)).get('/me')).status;
      expect([await statusOf(signedIn.body.test_token), await statusOf(unlinked.body.test_token)]).toEqual([
        401, 200,
      ]);
      expect((await signIn()).body.code).toBe('identity_not_linked');
      expect((await me.get('/oidc-identities')).body.items).toMatchObject([{ id: other.id }]);
      expect((await mailsTo(booted, 'carol@acme.example')).map(({ subject }) => subject)).toEqual([
        'Auth Atlas: sign-in method removed',
        'Auth Atlas: sign-in method added',
      ]);
      const target = `oidc-identity:${response.body.id}`;
      expect((await events({ target })).map(({ event, userId }) => [event, userId])).toEqual([
        ['authn_token_created', 'carol'],
        ['authn_token_revoked', 'carol'],
      ]);
    });

    /** Links an identity of the provider `op` by the complete flow. */
    async function link(id: string, between: () => Promise<unknown> = async () => {}, body = {}) {
      const begun = await client(booted.origin, await fresh(id)).post('/auth/oidc/op/link', body);
      const [cookie = ''] = begun.headers.getSetCookie();
      await between();
      return sendCallback(new Browser(), op.authorize(begun.body.url as string), {
        Cookie: cookie.split(';')[0],
      });
    }

    it('redirects to returnTo', async () => {
      op.overrides.sub = randomUUID();
      const { status, headers } = await link('carol', undefined, { returnTo: '/openapi' });
      expect([status, headers.get('location')]).toEqual([303, '/openapi']);
    });

    it('is idempotent, and rejects an identity of another account', async () => {
      await linkIdentity('bob');
      expect((await link('bob')).status).toBe(200);
      expect(await identities({ subject: op.overrides.sub })).toHaveLength(1);
      const { status, body } = await link('carol');
      expect([status, body.code]).toEqual([409, 'identity_already_linked']);
      expect((await identities({ subject: op.overrides.sub }))[0]!.userId).toBe('bob');
    });

    it('fails if the sign-in that started it has ended', async () => {
      op.overrides.sub = randomUUID();
      const endSignIns = () => booted.db.transaction((manager) => endAllSignIns(manager, 'dave'));
      const { status, body } = await link('dave', endSignIns);
      expect([status, body.code]).toEqual([401, 'invalid_identity']);
      expect(await identities({ subject: op.overrides.sub })).toEqual([]);
    });

    it('is denied to old sign-ins, limited credentials and API keys', async () => {
      const identity = await linkIdentity('bob');
      const proof = (more: object) =>
        ({
          method: 'test-issuer',
          at: new Date(),
          amr: [],
          bound: false,
          signIn: true,
          ...more,
        }) as Principal['proofs'][0];
      const old = new Date(Date.now() - 5 * 60_000 - 1000);
      for (const [caller, code] of [
        [as({ id: 'bob', proofs: [proof({ at: old })] }), 'reauthentication_required'],
        [as({ id: 'bob', proofs: [proof({ method: 'test' })] }), 'reauthentication_required'],
        [await fresh('bob', { scopes: ['documents:read'] }), 'limited_credential'],
        [as({ id: 'bob', proofs: [proof({ restricted: true })] }), 'limited_credential'],
        [as({ id: 'bob', proofs: [proof({ signIn: undefined })] }), 'limited_credential'],
      ] as const)
        for (const [method, path] of [
          ['POST', '/auth/oidc/op/link'],
          ['DELETE', `/oidc-identities/${identity.id}`],
        ] as const) {
          const { status, body } = await client(booted.origin, caller).send(method, path);
          expect([code, status, body.code]).toEqual([code, 403, code]);
        }
      expect(await identities({ id: identity.id })).toHaveLength(1);
      expect((await client(booted.origin).post('/auth/oidc/op/link')).status).toBe(401);
    });

    it('is denied for a provider of another tenant and for another account’s identity', async () => {
      const mallory = client(booted.origin, await fresh('mallory', { tenantId: 'globex' }));
      expect((await mallory.post('/auth/oidc/op/link')).body.code).toBe('unknown_provider');
      const { id } = await linkIdentity('bob');
      expect((await mallory.send('DELETE', `/oidc-identities/${id}`)).status).toBe(404);
      expect((await mallory.get('/oidc-identities')).body.items).toEqual([]);
      expect(await identities({ id })).toHaveLength(1);
    });
  });
});

describe('attacks', () => {
  describe('rejects a callback that this browser did not start, without redeeming the code', () => {
    const expectRejected = async (attempt: () => Promise<object>) =>
      expectNoChange(async () => {
        await linkIdentity('bob');
        const exchanged = op.tokenRequests.length;
        expect(await attempt()).toMatchObject(INVALID_STATE);
        expect(op.tokenRequests.length).toBe(exchanged);
        await booted.db.manager.delete(OidcIdentity, { subject: op.overrides.sub });
      });

    it.each<[string, (back: URL) => void]>([
      ['without a state', ({ searchParams }) => searchParams.delete('state')],
      ['with an empty state', ({ searchParams }) => searchParams.set('state', '')],
      ['with another state', ({ searchParams }) => searchParams.set('state', 'A'.repeat(43))],
      ['with the state twice', (back) => (back.search += `&state=${back.searchParams.get('state')}`)],
      ['with a state that is too long', (back) => (back.search = back.search.replace(/state=/, '$&x'))],
    ])('%s', (_, tamper) => expectRejected(() => signIn('op', tamper)));

    it('in another browser', () =>
      expectRejected(async () => sendCallback(new Browser(), op.authorize((await startSignIn()).location))));

    it('with the state of another browser’s sign-in', () =>
      expectRejected(async () => {
        const [victim, attacker] = [await startSignIn(), await startSignIn()];
        return sendCallback(victim.browser, op.authorize(attacker.location));
      }));

    it('a second time', async () => {
      await linkIdentity('bob');
      const { browser, response, location } = await startSignIn();
      const back = op.authorize(location);
      const cookie = response.headers.getSetCookie()[0]!.split(';')[0];
      expect((await sendCallback(browser, back)).status).toBe(200);
      // The browser has deleted the cookie; an attacker may have a copy.
      for (const headers of [{}, { Cookie: cookie }])
        await expectNoChange(async () =>
          expect(await sendCallback(new Browser(), op.authorize(location), headers)).toMatchObject(
            INVALID_STATE,
          ),
        );
      expect(op.tokenRequests).toHaveLength(1);
    });

    it('four times concurrently: exactly one succeeds', async () => {
      await linkIdentity('bob');
      const { response, location } = await startSignIn();
      const headers = { Cookie: response.headers.getSetCookie()[0]!.split(';')[0] };
      const backs = Array.from({ length: 4 }, () => op.authorize(location));
      const responses = await Promise.all(backs.map((back) => sendCallback(new Browser(), back, headers)));
      expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(responses.filter(({ body }) => body.code === 'invalid_state')).toHaveLength(3);
    });

    it('after ten minutes', () =>
      expectRejected(async () => {
        const { browser, location } = await startSignIn();
        const back = op.authorize(location);
        const now = Date.now();
        jest.spyOn(Date, 'now').mockImplementation(() => now + 10 * 60_000 + 1);
        return sendCallback(browser, back);
      }));

    it('with a modified, foreign or duplicate cookie', async () => {
      const { response, location } = await startSignIn();
      const [name = '', value = ''] = response.headers.getSetCookie()[0]!.split(';')[0]!.split('=');
      const others = (await startSignIn('other')).response.headers
        .getSetCookie()[0]!
        .split(';')[0]!
        .split('=');
      for (const cookie of [
        `${name}=${value.slice(0, -2)}AA`,
        `${name}=${value.split('.')[0]}.`,
        `${name}=`,
        `${name}=${others[1]}`,
        `${name}=${value}; ${name}=${value}`,
        `${name}=${value}; ${name}=x`,
        `${name.toUpperCase()}=${value}`,
      ])
        await expectRejected(() => sendCallback(new Browser(), op.authorize(location), { Cookie: cookie }));
    });
  });

  it('rejects an ID token without the nonce of this sign-in', async () => {
    await linkIdentity('bob');
    await expectNoChange(async () => {
      for (const nonce of [undefined, '', 'A'.repeat(43), 7, ['x']]) {
        op.overrides.claims = { nonce };
        expect(await signIn()).toMatchObject(INVALID_IDENTITY);
      }
    });
  });

  describe('rejects mixed-up responses of two providers', () => {
    it.each<[string, (back: URL) => void]>([
      ['iss is another provider', ({ searchParams }) => searchParams.set('iss', other.issuer)],
      ['iss has an additional slash', ({ searchParams }) => searchParams.set('iss', `${op.issuer}/`)],
      ['iss is missing, although the metadata announces it', (back) => back.searchParams.delete('iss')],
      ['iss is duplicated', (back) => (back.search += `&iss=${encodeURIComponent(other.issuer)}`)],
    ])('%s: the code is not redeemed', async (_, tamper) => {
      await linkIdentity('bob');
      await expectNoChange(async () => expect(await signIn('op', tamper)).toMatchObject(INVALID_IDENTITY));
      expect(op.tokenRequests).toEqual([]);
    });

    it('a provider that forwards the browser to another does not receive its code', async () => {
      await linkIdentity('bob');
      const { browser, location } = await startSignIn('other');
      // The malicious provider forwards its state and challenge to the provider that bob uses.
      const honest = new URL((await startSignIn('op')).location);
      for (const name of ['state', 'nonce', 'code_challenge'])
        honest.searchParams.set(name, location.searchParams.get(name)!);
      const back = op.authorize(honest);
      await expectNoChange(async () => {
        expect(await sendCallback(browser, back)).toMatchObject(INVALID_STATE);
        // The cookie is encrypted for one provider; renaming it does not help.
        const renamed = { Cookie: browser.cookieOf(booted.origin).replace('oidc-other=', 'oidc-op=') };
        expect(await sendCallback(new Browser(), back, renamed)).toMatchObject(INVALID_STATE);
        const moved = new URL(back.href.replace('/op/callback', '/other/callback'));
        expect(await sendCallback(browser, moved)).toMatchObject(INVALID_IDENTITY);
      });
      expect([op.tokenRequests, other.tokenRequests]).toEqual([[], []]);
    });

    it('each provider has its own redirect URI', () => {
      const uris = ['op', 'other'].map((id) => new URL(providers.redirectUri(providers.find(id))).pathname);
      expect(uris).toEqual(['/auth/oidc/op/callback', '/auth/oidc/other/callback']);
    });
  });

  it('treats the same sub at two providers as two users', async () => {
    op.overrides.sub = other.overrides.sub = randomUUID();
    const [one, two] = [await signIn('open'), await signIn('other')].map(issuedPrincipal);
    expect(one!.id).not.toBe(two!.id);
    await linkIdentity('bob');
    other.overrides.sub = op.overrides.sub;
    expect(issuedPrincipal(await signIn('other')).id).not.toBe('bob');
  });

  describe('rejects a code of another sign-in', () => {
    it('because the provider checks PKCE', async () => {
      await linkIdentity('bob');
      const stolen = op.authorize((await startSignIn()).location).searchParams.get('code')!;
      await expectNoChange(async () =>
        expect(await signIn('op', (back) => back.searchParams.set('code', stolen))).toMatchObject(
          INVALID_IDENTITY,
        ),
      );
      expect(op.tokenRequests[0]!.get('code_verifier')).toMatch(/^[\w-]{43}$/);
    });

    it('because the nonce differs, if the provider ignores PKCE', async () => {
      await linkIdentity('bob');
      op.overrides.checksPkce = false;
      const stolen = op.authorize((await startSignIn()).location).searchParams.get('code')!;
      await expectNoChange(async () =>
        expect(await signIn('op', (back) => back.searchParams.set('code', stolen))).toMatchObject(
          INVALID_IDENTITY,
        ),
      );
    });

    it.each<[string, (back: URL) => void]>([
      ['an invented code', ({ searchParams }) => searchParams.set('code', 'made-up')],
      ['no code', ({ searchParams }) => searchParams.delete('code')],
      ['two codes', (back) => (back.search += '&code=another')],
      ['an additional id_token', (back) => (back.search += '&id_token=e30.e30.')],
      ['an additional signed response', (back) => (back.search += '&response=e30.e30.')],
    ])('%s', async (_, tamper) => {
      await linkIdentity('bob');
      await expectNoChange(async () => expect(await signIn('op', tamper)).toMatchObject(INVALID_IDENTITY));
    });
  });

  it('has no front-channel logout routes', async () => {
    await linkIdentity('bob');
    const { body } = await signIn();
    for (const [path, status] of [
      ['/auth/oidc/op/frontchannel-logout', 404],
      [`/auth/oidc/op/frontchannel-logout?iss=${op.issuer}&sid=x`, 404],
      [`/auth/oidc/op/logout?iss=${op.issuer}&sid=x`, 404],
      ['/auth/logout?iss=x&sid=x', 405],
    ] as const) {
      const response = await client(booted.origin, withTestToken(body.test_token)).get(path);
      expect([path, response.status]).toEqual([path, status]);
    }
    expect((await client(booted.origin, withTestToken(body.test_token)).get('/me')).status).toBe(200);
  });

  describe('never repeats the error text of a provider', () => {
    it.each([
      ['access_denied', 403, 'access_denied'],
      ['login_required', 403, 'access_denied'],
      ['consent_required', 403, 'access_denied'],
      ['interaction_required', 403, 'access_denied'],
      ['temporarily_unavailable', 503, 'provider_unavailable'],
      ['server_error', 503, 'provider_unavailable'],
      ['unauthorized_client', 502, 'provider_error'],
      ['invalid_scope', 502, 'provider_error'],
      ['<script>alert(1)</script>', 502, 'provider_error'],
    ])('%s: %d %s', async (error, status, code) => {
      await expectNoChange(async () => {
        const response = await signIn('op', (back) => {
          const state = back.searchParams.get('state')!;
          const description = '<script>alert(1)</script>';
          back.search = `${new URLSearchParams({ error, state, iss: op.issuer, error_description: description, error_uri: 'javascript:alert(1)' })}`;
        });
        expect([response.status, response.body.code]).toEqual([status, code]);
        expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
        expect(response.text + [...response.headers].flat().join()).not.toMatch(/script|alert/);
      });
      expect(op.tokenRequests).toEqual([]);
    });

    it('rejects an error response with another state, and keeps the sign-in pending', async () => {
      const { browser, location } = await startSignIn();
      const back = op.authorize(location);
      const forged = new URL(back);
      forged.search = 'error=access_denied&state=x';
      expect(await sendCallback(browser, forged)).toMatchObject(INVALID_STATE);
      await linkIdentity('bob');
      expect((await sendCallback(browser, op.authorize(location))).status).toBe(200);
    });

    it('records the denied sign-in in the audit log', async () => {
      await signIn('op', (back) => {
        back.searchParams.delete('code');
        back.searchParams.set('error', 'access_denied');
      });
      const [event] = (await events({ event: 'authn_login_fail', method: 'oidc-login' })).slice(-1);
      expect(event!.details).toEqual({
        code: 'access_denied',
        reason: 'denied at the provider',
        provider: 'op',
      });
    });
  });

  it('fetches changed keys, at most once a minute', async () => {
    await linkIdentity('bob');
    const before = op.keys;
    const now = Date.now();
    const later = (seconds: number) => jest.spyOn(Date, 'now').mockReturnValue(now + seconds * 1000);
    later(0);
    expect((await signIn()).status).toBe(200);
    expect(op.requestCounts['/jwks']).toBe(1);
    const { browser, location } = await startSignIn();
    op.keys = [await newKey('second'), ...before];
    later(61);
    expect((await sendCallback(browser, op.authorize(location))).status).toBe(200);
    expect(op.requestCounts['/jwks']).toBe(2);

    // An unknown key does not cause a request for each token.
    op.overrides.header = { kid: 'unknown' };
    for (let i = 0; i < 5; i++) expect(await signIn()).toMatchObject(INVALID_IDENTITY);
    expect(op.requestCounts['/jwks']).toBe(2);
    later(122);
    for (let i = 0; i < 5; i++) expect(await signIn()).toMatchObject(INVALID_IDENTITY);
    expect(op.requestCounts['/jwks']).toBe(3);
    op.keys = before;
  });

  describe('with an independent provider (oidc-provider)', () => {
    let independent: TestProvider | undefined;
    afterEach(() => independent?.close());

    async function signInWith(id: string, registered: object, own: Partial<OidcProvider>) {
      const redirectUri = (from: string) => providers.redirectUri(providerConfig(from, { id }));
      independent = await startProvider(redirectUri, registered);
      independent.user = randomUUID();
      providers.add(providerConfig(independent.issuer, { id, create: { roles: ['viewer'] }, ...own }));
      const { browser, location } = await startSignIn(id);
      return sendCallback(browser, await signInAtProvider(location));
    }

    it.each(['client_secret_basic', 'client_secret_post'] as const)('signs in by %s', async (method) => {
      const response = await signInWith(
        'real',
        { token_endpoint_auth_method: method },
        { clientAuth: method },
      );
      expect([response.status, issuedPrincipal(response).roles]).toEqual([200, ['viewer']]);
    });

    it('signs in by private_key_jwt', async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      const own = { alg: 'ES256', kid: 'ours', use: 'sig' };
      const response = await signInWith(
        'real',
        {
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          client_secret: undefined,
          jwks: { keys: [{ ...(await exportJWK(publicKey)), ...own }] },
        },
        {
          clientAuth: 'private_key_jwt',
          clientSecret: JSON.stringify({ ...(await exportJWK(privateKey)), ...own }),
        },
      );
      expect(response.status).toBe(200);
    });

    it('responds 502 if the client secret is wrong', async () => {
      await expectNoChange(async () =>
        expect(await signInWith('real', {}, { clientSecret: 'wrong' })).toMatchObject({
          status: 502,
          body: { code: 'provider_error' },
        }),
      );
    });
  });

  it('ignores e-mail address, username and name in the ID token', async () => {
    op.overrides.sub = 'bob';
    for (const email_verified of [true, false]) {
      op.overrides.claims = {
        email: 'bob',
        email_verified,
        preferred_username: 'bob',
        upn: 'bob',
        name: 'bob',
      };
      await expectNoChange(async () => expect((await signIn()).body.code).toBe('identity_not_linked'));
    }
    op.overrides.sub = randomUUID();
    expect(issuedPrincipal(await signIn('open')).id).not.toBe('bob');
    expect(await booted.db.manager.countBy(OidcIdentity, { userId: 'bob', subject: op.overrides.sub })).toBe(
      0,
    );
  });

  it('compares sub exactly, and rejects malformed values', async () => {
    await linkIdentity('bob', { subject: 'Bob-1' });
    for (const sub of ['bob-1', 'BOB-1', 'Bob-1 ', ' Bob-1', 'Bob-10', 'Bob-']) {
      op.overrides.sub = sub;
      expect((await signIn()).body.code).toBe('identity_not_linked');
    }
    for (const sub of ['', 'x'.repeat(256), 'Bob-1\u0000', 'Bob-1\u00a0', 1, ['Bob-1'], null]) {
      op.overrides.claims = { sub };
      expect(await signIn('open')).toMatchObject(INVALID_IDENTITY);
    }
    op.overrides.claims = {};
    op.overrides.sub = 'Bob-1';
    expect((await signIn()).status).toBe(200);
  });

  it('rejects a disabled account like any other invalid identity', async () => {
    await linkIdentity('carol');
    await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: new Date() });
    await expectNoChange(async () => expect(await signIn()).toMatchObject(INVALID_IDENTITY));
    await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: null });
    const [event] = (await events({ event: 'authn_login_fail', method: 'oidc-login' })).slice(-1);
    expect([event!.userId, event!.details['reason']]).toEqual(['carol', 'the account carol is disabled']);
  });

  it('rejects an account of another tenant', async () => {
    await linkIdentity('mallory');
    await expectNoChange(async () => expect(await signIn()).toMatchObject(INVALID_IDENTITY));
    reconfigure('op', { tenant: 'globex' });
    expect((await signIn()).status).toBe(200);
  });

  it('issues no valid credential if all sign-ins are ended during the sign-in', async () => {
    await linkIdentity('bob');
    issuer.before = async () => {
      issuer.before = async () => {};
      await booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));
    };
    const { status, body } = await signIn();
    expect(status).toBe(200);
    expect((await client(booted.origin, withTestToken(body.test_token)).get('/me')).status).toBe(401);
  });

  it('rejects a returnTo that is not a path of this origin', async () => {
    for (const returnTo of [
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/ /evil.example',
      '/x\r\nSet-Cookie: a=b',
      '/x\\..\\evil',
      'javascript:alert(1)',
      'documents',
      '',
      '/é',
      `/${'x'.repeat(1_000)}`,
    ]) {
      const { response } = await startSignIn('op', { as: 'ambient', returnTo });
      expect([returnTo, response.status, response.body.code]).toEqual([returnTo, 400, 'invalid_query']);
      const proof = { method: 'test-issuer', at: new Date(), amr: [], bound: false, signIn: true } as const;
      const me = client(booted.origin, as({ id: 'bob', proofs: [proof] }));
      expect((await me.post('/auth/oidc/op/link', { returnTo })).status).toBe(422);
    }
  });

  describe('a failing provider', () => {
    const elsewhere = (_: unknown, response: ServerResponse) =>
      response.writeHead(307, { Location: `${other.issuer}/token` }).end();

    it('is not followed to a redirect, which would disclose the code and the secret', async () => {
      await linkIdentity('bob');
      for (const path of ['/token', '/jwks', '/.well-known/openid-configuration']) {
        op.overrides.handlers = {};
        reconfigure('op', {});
        const { browser, location, response } = await startSignIn();
        expect(response.status).toBe(303);
        op.overrides.handlers = { [path]: elsewhere };
        if (path.includes('well-known')) reconfigure('op', {});
        expect(await sendCallback(browser, op.authorize(location))).toMatchObject({
          status: 502,
          body: { code: 'provider_error' },
        });
      }
      expect(other.requestCounts).toEqual({});
    });

    it.each<[string, (response: ServerResponse) => void, number]>([
      ['an error status', (response) => response.writeHead(500).end(), 502],
      ['HTML', (response) => response.end('<html>'), 502],
      [
        'a JSON array',
        (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('[]'),
        502,
      ],
      ['a closed connection', (response) => response.destroy(), 503],
    ])('causes an error, without a cookie, if its metadata is %s', async (_, handler, status) => {
      op.overrides.handlers = { '/.well-known/openid-configuration': (__, response) => handler(response) };
      const { response } = await startSignIn();
      expect([response.status, response.headers.getSetCookie()]).toEqual([status, []]);
    });

    it('causes an error if its metadata exceeds 256 KiB', async () => {
      op.overrides.metadata = { more: 'x'.repeat(200_000) };
      expect((await startSignIn()).response.status).toBe(303);
      op.overrides.metadata = { more: 'x'.repeat(300_000) };
      reconfigure('op', {});
      expect((await startSignIn()).response.status).toBe(502);
    });

    it.each([undefined, 'no URL', 'javascript:alert(1)'])(
      'causes an error if its authorization_endpoint is %s',
      async (endpoint) => {
        op.overrides.metadata = { authorization_endpoint: endpoint };
        const { response } = await startSignIn();
        expect([response.status, response.body.code, response.headers.getSetCookie()]).toEqual([
          502,
          'provider_error',
          [],
        ]);
      },
    );

    it('causes a 503 if it does not respond in time', async () => {
      const timeout = AbortSignal.timeout.bind(AbortSignal);
      jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
        expect(ms).toBe(5_000);
        return timeout(100);
      });
      for (const handler of [() => {}, (_: unknown, response: ServerResponse) => void response.write('{')]) {
        op.overrides.handlers = { '/.well-known/openid-configuration': handler };
        reconfigure('op', {});
        const { response } = await startSignIn();
        expect([response.status, response.body.code]).toEqual([503, 'provider_unavailable']);
        expect(response.headers.get('retry-after')).toBe('10');
      }
    });

    it('gets a request for its metadata once an hour, and after a failure once in ten seconds', async () => {
      const path = '/.well-known/openid-configuration';
      const now = Date.now();
      const later = (ms: number) => jest.spyOn(Date, 'now').mockReturnValue(now + ms);
      const fetchCount = async () => {
        await Promise.all([startSignIn(), startSignIn(), startSignIn()]);
        return op.requestCounts[path];
      };
      later(0);
      expect(await fetchCount()).toBe(1);
      later(60 * 60_000 - 1);
      expect(await fetchCount()).toBe(1);
      op.overrides.handlers = { [path]: (_, response) => response.writeHead(500).end() };
      later(60 * 60_000);
      expect(await fetchCount()).toBe(2);
      later(60 * 60_000 + 9_000);
      expect(await fetchCount()).toBe(2);
      op.overrides.handlers = {};
      later(60 * 60_000 + 11_000);
      expect((await startSignIn()).response.status).toBe(303);
      expect(op.requestCounts[path]).toBe(3);
    });

    it('leaves no secret, code or verifier in the audit log', async () => {
      await linkIdentity('bob');
      await signIn();
      const codes = op.tokenRequests.flatMap((body) => [body.get('code')!, body.get('code_verifier')!]);
      const written = JSON.stringify(await events({}));
      for (const secret of ['secret', ...codes]) expect(written).not.toContain(secret);
    });
  });
});

describe('oidc-login with each installed issuer', () => {
  let whole: Booted;
  let names: readonly string[];
  beforeAll(async () => {
    whole = await boot();
    names = whole.app.get(IssuerRegistry).names;
    const all = whole.app.get(OidcProviders, { strict: false });
    all.add(providerConfig(op.issuer, { id: 'op', create: { roles: ['viewer'] } }));
  });
  afterAll(() => whole.close());

  /** The headers of a navigation that another site started. */
  const CROSS_SITE = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };

  async function signInWith(name: string, returnTo?: string) {
    const { browser, location } = await startSignIn(
      'op',
      { as: name, ...(returnTo && { returnTo }) },
      whole.origin,
    );
    const back = op.authorize(location);
    const response = await readResponse(
      await browser.get(new URL(back.pathname + back.search, whole.origin), { headers: CROSS_SITE }),
    );
    return { browser, response };
  }

  /** A client that sends the issued credential. */
  const carrying = ({ browser, response: { body } }: Awaited<ReturnType<typeof signInWith>>) =>
    client(whole.origin, {
      Cookie: browser.cookieOf(whole.origin),
      ...(body.access_token && { Authorization: `${body.token_type} ${body.access_token}` }),
      ...(body.csrf_token && { 'X-CSRF-Token': body.csrf_token, 'Sec-Fetch-Site': 'same-origin' }),
    });

  it('signs in although the callback is a cross-site request, and records it', async () => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      op.overrides.sub = randomUUID();
      const entered = await signInWith(name);
      expect([name, entered.response.status]).toEqual([name, 200]);
      const { status, body } = await carrying(entered).get(`/demo/${name}`);
      expect([status, body.tenantId, body.roles]).toEqual([200, 'acme', ['viewer']]);
      const where = { userId: body.id as string, event: 'authn_login_success' as const };
      expect(await whole.db.manager.findBy(AuditEvent, where)).toMatchObject([
        { method: 'oidc-login', details: { as: name } },
      ]);
    }
  });

  it('rejects cross-site requests to link and unlink', async () => {
    for (const name of names) {
      op.overrides.sub = randomUUID();
      const entered = await signInWith(name);
      const me = carrying(entered);
      const [identity] = (await me.get('/oidc-identities')).body.items;
      expect((await me.post('/auth/oidc/op/link')).status).toBe(200);
      const cookie = entered.browser.cookieOf(whole.origin);
      if (cookie) {
        // A cross-site request contains the cookie but no CSRF token.
        const foreign = client(whole.origin, { Cookie: cookie, ...CROSS_SITE });
        expect((await foreign.post('/auth/oidc/op/link')).status).toBe(403);
        expect((await foreign.send('DELETE', `/oidc-identities/${identity.id}`)).status).toBe(403);
      }
      expect((await me.get('/oidc-identities')).body.items).toHaveLength(1);
    }
  });

  it('permits no step-up and no new way to sign in if the provider does not tell the time of the sign-in', async () => {
    const all = whole.app.get(OidcProviders, { strict: false });
    all.add(providerConfig(op.issuer, { id: 'op', create: { roles: ['admin'] }, trustAmr: true }));
    const document = { title: 'Salaries', classification: 'confidential' };
    const now = Math.floor(Date.now() / 1000);
    for (const name of names)
      for (const [authTime, deleted, linking] of [
        [undefined, 401, 401],
        [now - 3600, 401, 401],
        [now, 204, 200],
      ] as const) {
        op.overrides.sub = randomUUID();
        op.overrides.claims = { amr: ['mfa'], auth_time: authTime };
        const me = carrying(await signInWith(name));
        const { body, headers } = await me.post('/documents', document);
        const deletion = await me.send('DELETE', `/documents/${body.id}`, {
          headers: { 'If-Match': headers.get('etag')! },
        });
        expect([name, authTime, deletion.status]).toEqual([name, authTime, deleted]);
        expect((await me.post('/auth/oidc/op/link')).status).toBe(linking);
      }
    all.add(providerConfig(op.issuer, { id: 'op', create: { roles: ['viewer'] } }));
  });

  it('redirects to returnTo only for cookie credentials', async () => {
    for (const name of names) {
      op.overrides.sub = randomUUID();
      const { response } = await signInWith(name);
      const isCookie = response.headers.getSetCookie().some((line) => !line.startsWith('oidc-'));
      if (isCookie) {
        const { response: sent, browser } = await signInWith(name, '/me');
        expect([sent.status, sent.headers.get('location')]).toEqual([303, '/me']);
        expect((await browser.get(`${whole.origin}/me`)).status).toBe(200);
      } else
        expect((await startSignIn('op', { as: name, returnTo: '/me' }, whole.origin)).response.status).toBe(
          400,
        );
    }
  });
});

it('requires HTTPS in production, and sets a __Host- cookie', async () => {
  const production = await boot({
    methods: [oidcLogin, testIssuer],
    env: {
      NODE_ENV: 'production',
      APP_SECRET: RANDOM_SECRET,
      PUBLIC_URL: 'https://api.atlas.test',
      TRUST_PROXY: '127.0.0.1',
    },
    logTo: { write: () => {} },
  });
  production.app.get(OidcProviders).add(providerConfig(op.issuer, { id: 'op' }));
  const { get } = client(production.origin, { Host: 'api.atlas.test' });
  for (const path of ['/auth/oidc/op?as=test-issuer', '/auth/oidc/op/callback?code=x&state=x'])
    expect(await get(path)).toMatchObject({ status: 403, body: { code: 'https_required' } });
  const { status, headers } = await get('/auth/oidc/op?as=test-issuer', { 'X-Forwarded-Proto': 'https' });
  expect([status, headers.getSetCookie()]).toEqual([
    303,
    [expect.stringMatching(/^__Host-oidc-op=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Secure; Max-Age=600$/)],
  ]);
  const redirectUri = new URL(headers.get('location')!).searchParams.get('redirect_uri');
  expect(redirectUri).toBe('https://api.atlas.test/auth/oidc/op/callback');
  await production.close();
});
