import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
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
import { as, boot, client, type Booted } from '../support/app.js';
import { slip, withSlip } from '../support/test-issuer.js';
import { Browser } from './oidc-login.browser.js';
import { configured } from './oidc-login.configured.js';
import { newKey } from './oidc-login.forge.js';
import {
  OVER,
  REFUSED,
  begin,
  booted,
  change,
  comeBack,
  events,
  identities,
  issuer,
  linked,
  op,
  other,
  principalOfSlip,
  providers,
  seen,
  signIn,
  start,
  unchanged,
  users,
} from './oidc-login.harness.js';
import { startProvider, throughTheProvider, type TestProvider } from './oidc-login.provider.js';

start();

describe('oidc-login', () => {
  it('is there without a provider: the list is empty, and every name is unknown', async () => {
    const bare = await boot({ methods: [oidcLogin, slip] });
    const { get } = client(bare.origin);
    expect(await get('/auth/oidc')).toMatchObject({ status: 200, body: { items: [] } });
    for (const path of ['/auth/oidc/google?as=slip', '/auth/oidc/google/callback?code=x&state=y'])
      expect(await get(path)).toMatchObject({ status: 404, body: { code: 'unknown_provider' } });
    await bare.close();
  });

  it('lists its providers, and nothing of how they know us', async () => {
    const { body } = await client(booted.origin).get('/auth/oidc');
    expect(body.items).toContainEqual({ id: 'op', name: 'op', tenant: 'acme' });
    expect(JSON.stringify(body)).not.toMatch(/secret|atlas/);
  });

  it('sends the browser to the provider, with all that ties the answer to it', async () => {
    const { answer, location } = await begin();
    expect(answer.status).toBe(303);
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
    const [cookie, ...more] = answer.headers.getSetCookie();
    expect(more).toEqual([]);
    expect(cookie).toMatch(/^oidc-op=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/);
    for (const secret of ['state', 'nonce']) expect(cookie).not.toContain(location.searchParams.get(secret)!);
  });

  it('signs in the account that the identity is linked with', async () => {
    const identity = await linked('bob');
    const answer = await signIn();
    expect([answer.status, answer.headers.get('x-slip')]).toEqual([200, answer.body.slip]);
    expect(principalOfSlip(answer)).toEqual({
      id: 'bob',
      kind: 'user',
      tenantId: 'acme',
      roles: ['editor'],
      proofs: [
        { method: 'oidc-login', credentialId: identity.id, at: expect.any(Date), amr: [], bound: false },
      ],
    });
    const { status, body } = await client(booted.origin, withSlip(answer.body.slip)).get('/me');
    expect([status, body.id]).toEqual([200, 'bob']);
    expect(answer.headers.getSetCookie()).toEqual(['oidc-op=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0']);
  });

  it('signs in nobody whom no account knows, and says so', async () => {
    op.lies.sub = 'stranger';
    await unchanged(async () => {
      const { status, body, headers } = await signIn();
      expect([status, body.code, headers.get('www-authenticate')]).toEqual([
        401,
        'identity_not_linked',
        'Slip realm="test"',
      ]);
    });
    const [event] = (await events({ event: 'authn_login_fail', method: 'oidc-login' })).slice(-1);
    expect(event!.details).toEqual({
      code: 'identity_not_linked',
      reason: 'no account is linked to this subject',
      provider: 'op',
    });
  });

  it('makes an account at the first sign-in where the provider may, and finds it at the next', async () => {
    op.lies.sub = randomUUID();
    op.lies.claims = { preferred_username: 'alice', email: 'alice@acme.test', email_verified: true };
    const first = principalOfSlip(await signIn('open'));
    expect(first).toMatchObject({ kind: 'user', tenantId: 'acme', roles: ['viewer'] });
    expect(principalOfSlip(await signIn('open')).id).toBe(first.id);
    const { username } = await booted.db.manager.findOneByOrFail(User, { id: first.id });
    expect(username).toBe(`open.${first.id}`);
    expect(await events({ event: 'sensitive_create', target: `user:${first.id}` })).toMatchObject([
      { userId: first.id, tenantId: 'acme', method: 'oidc-login', details: { provider: 'open' } },
    ]);
  });

  it('makes one account of two first sign-ins at the same moment', async () => {
    op.lies.sub = randomUUID();
    const before = await users();
    const answers = await Promise.all(Array.from({ length: 4 }, () => signIn('open')));
    expect(new Set(answers.map((answer) => principalOfSlip(answer).id)).size).toBe(1);
    expect(await users()).toBe(before + 1);
  });

  it('says when the person signed in there, and never that this lies ahead', async () => {
    await linked('bob');
    const now = Math.floor(Date.now() / 1000);
    for (const [authTime, ago] of [
      [now - 3600, 3600],
      [now + 3600, 0],
      [1e300, 0],
      [undefined, 0],
    ] as const) {
      op.lies.claims = { auth_time: authTime };
      const { at } = principalOfSlip(await signIn()).proofs[0];
      expect(Math.abs(Date.now() - at.getTime() - ago * 1000)).toBeLessThan(10_000);
    }
  });

  it('asks for a sign-in there that is no older than the configuration says', async () => {
    await linked('bob');
    change('op', { maxAge: 300 });
    const now = Math.floor(Date.now() / 1000);
    expect((await begin()).location.searchParams.get('max_age')).toBe('300');
    for (const [authTime, status] of [
      [now - 100, 200],
      [now - 1000, 401],
      [undefined, 401],
    ] as const) {
      op.lies.claims = { auth_time: authTime };
      expect([authTime, (await signIn()).status]).toEqual([authTime, status]);
    }
  });

  it('believes how the person signed in only of a provider that is trusted with that', async () => {
    await linked('bob');
    op.lies.claims = { amr: ['pwd', 'otp', 'no word!', 7] };
    expect(principalOfSlip(await signIn()).proofs[0].amr).toEqual([]);
    change('op', { trustAmr: true });
    expect(principalOfSlip(await signIn()).proofs[0].amr).toEqual(['pwd', 'otp']);
  });

  it('lets in only whom the claims say that they must be', async () => {
    await linked('bob');
    change('op', { claims: { hd: 'acme.test' } });
    for (const [hd, status] of [
      ['acme.test', 200],
      ['evil.test', 401],
      [undefined, 401],
      [['acme.test'], 401],
    ] as const) {
      op.lies.claims = { hd };
      expect([hd, (await signIn()).status]).toEqual([hd, status]);
    }
  });

  it('goes on to a page, where the browser keeps what was issued', async () => {
    await linked('bob');
    const kept = await signIn('op', undefined, { as: 'crumb', returnTo: '/openapi?page=1#top' });
    expect([kept.status, kept.headers.get('location'), kept.text]).toEqual([303, '/openapi?page=1#top', '']);
    const { answer } = await begin('op', { as: 'slip', returnTo: '/openapi' });
    expect([answer.status, answer.body.code, answer.body.errors[0].field]).toEqual([
      400,
      'invalid_query',
      'returnTo',
    ]);
  });

  it('refuses to begin what could not end: for an issuer that is not there, or anything else in the query', async () => {
    for (const [query, field] of [
      ['', 'as'],
      ['?as=telepathy', 'as'],
      ['?as=oidc-login', 'as'],
      ['?as=slip&as=slip', 'as'],
      ['?as=slip&prompt=none', 'prompt'],
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

  it('keeps two sign-ins at two providers apart, in one browser', async () => {
    await linked('bob');
    const { browser, location } = await begin('op');
    const second = await browser.get(signInUrl(booted.origin, { provider: 'other', as: 'slip' }));
    other.lies.sub = randomUUID();
    expect((await comeBack(browser, op.authorize(location))).status).toBe(200);
    expect((await comeBack(browser, other.authorize(second.headers.get('location')!))).status).toBe(200);
  });

  describe('linking', () => {
    const fresh = async (id: string, more: Partial<Principal> = {}) => {
      const proof = { method: 'slip', credentialId: 'x', at: new Date(), amr: [], bound: false } as const;
      return as({ id, proofs: [proof], ...more });
    };

    it('gives an account one more way in, lists it, and takes it away with all that was signed in', async () => {
      const me = client(booted.origin, await fresh('carol'));
      const begun = await me.post('/auth/oidc/op/link');
      expect([begun.status, Object.keys(begun.body)]).toEqual([200, ['url']]);
      const [cookie = ''] = begun.headers.getSetCookie();
      op.lies.sub = randomUUID();
      const back = op.authorize(begun.body.url as string);
      const browser = new Browser();
      const answer = await comeBack(browser, back, { Cookie: cookie.split(';')[0] });
      const identity = { provider: 'op', issuer: op.issuer, subject: op.lies.sub, lastUsedAt: null };
      expect([answer.status, answer.body]).toEqual([200, expect.objectContaining(identity)]);
      expect((await me.get('/oidc-identities')).body.items).toEqual([answer.body]);

      const signedIn = await signIn();
      expect(principalOfSlip(signedIn).id).toBe('carol');
      const unlinked = await me.send('DELETE', `/oidc-identities/${answer.body.id}`);
      expect([unlinked.status, Object.keys(unlinked.body)]).toEqual([200, ['slip']]);
      const statusOf = async (id: string) => (await client(booted.origin, withSlip(id)).get('/me')).status;
      expect([await statusOf(signedIn.body.slip), await statusOf(unlinked.body.slip)]).toEqual([401, 200]);
      expect((await signIn()).body.code).toBe('identity_not_linked');
      expect((await me.get('/oidc-identities')).body.items).toEqual([]);
      const target = `oidc-identity:${answer.body.id}`;
      expect((await events({ target })).map(({ event, userId }) => [event, userId])).toEqual([
        ['authn_token_created', 'carol'],
        ['authn_token_revoked', 'carol'],
      ]);
    });

    /** Links somebody of the provider `op` by the whole way. */
    async function link(id: string, between: () => Promise<unknown> = async () => {}, body = {}) {
      const begun = await client(booted.origin, await fresh(id)).post('/auth/oidc/op/link', body);
      const [cookie = ''] = begun.headers.getSetCookie();
      await between();
      return comeBack(new Browser(), op.authorize(begun.body.url as string), {
        Cookie: cookie.split(';')[0],
      });
    }

    it('goes on to a page of this origin', async () => {
      op.lies.sub = randomUUID();
      const { status, headers } = await link('carol', undefined, { returnTo: '/openapi' });
      expect([status, headers.get('location')]).toEqual([303, '/openapi']);
    });

    it('is done once for an identity, and never takes it from another account', async () => {
      await linked('bob');
      expect((await link('bob')).status).toBe(200);
      expect(await identities({ subject: op.lies.sub })).toHaveLength(1);
      const { status, body } = await link('carol');
      expect([status, body.code]).toEqual([409, 'identity_already_linked']);
      expect((await identities({ subject: op.lies.sub }))[0]!.userId).toBe('bob');
    });

    it('is over with the sign-in that began it', async () => {
      op.lies.sub = randomUUID();
      const ends = () => booted.db.transaction((manager) => endAllSignIns(manager, 'dave'));
      const { status, body } = await link('dave', ends);
      expect([status, body.code]).toEqual([401, 'invalid_identity']);
      expect(await identities({ subject: op.lies.sub })).toEqual([]);
    });

    it('is not for a caller whose sign-in is old, limited, or none at all', async () => {
      const identity = await linked('bob');
      const proof = (more: object) =>
        ({ method: 'slip', at: new Date(), amr: [], bound: false, ...more }) as Principal['proofs'][0];
      const old = new Date(Date.now() - 5 * 60_000 - 1000);
      for (const [caller, code] of [
        [as({ id: 'bob', proofs: [proof({ at: old })] }), 'reauthentication_required'],
        [as({ id: 'bob', proofs: [proof({ method: 'test' })] }), 'reauthentication_required'],
        [await fresh('bob', { scopes: ['documents:read'] }), 'limited_credential'],
        [as({ id: 'bob', proofs: [proof({ restricted: true })] }), 'limited_credential'],
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

    it('is not for a provider of another tenant, nor for the identity of another account', async () => {
      const mallory = client(booted.origin, await fresh('mallory', { tenantId: 'globex' }));
      expect((await mallory.post('/auth/oidc/op/link')).body.code).toBe('unknown_provider');
      const { id } = await linked('bob');
      expect((await mallory.send('DELETE', `/oidc-identities/${id}`)).status).toBe(404);
      expect((await mallory.get('/oidc-identities')).body.items).toEqual([]);
      expect(await identities({ id })).toHaveLength(1);
    });
  });
});

describe('attacks', () => {
  describe('OIDCRP-01: an answer that this browser did not ask for signs nobody in, and its code goes nowhere', () => {
    const refused = async (attempt: () => Promise<object>) =>
      unchanged(async () => {
        await linked('bob');
        const exchanged = op.exchanged.length;
        expect(await attempt()).toMatchObject(OVER);
        expect(op.exchanged.length).toBe(exchanged);
        await booted.db.manager.delete(OidcIdentity, { subject: op.lies.sub });
      });

    it.each<[string, (back: URL) => void]>([
      ['without a state', ({ searchParams }) => searchParams.delete('state')],
      ['with an empty state', ({ searchParams }) => searchParams.set('state', '')],
      ['with another state', ({ searchParams }) => searchParams.set('state', 'A'.repeat(43))],
      ['with the state twice', (back) => (back.search += `&state=${back.searchParams.get('state')}`)],
      ['with a state that is too long', (back) => (back.search = back.search.replace(/state=/, '$&x'))],
    ])('%s', (_, spoil) => refused(() => signIn('op', spoil)));

    it('in another browser', () =>
      refused(async () => comeBack(new Browser(), op.authorize((await begin()).location))));

    it('in a browser that began a sign-in of its own: the state of another is no good', () =>
      refused(async () => {
        const [victim, attacker] = [await begin(), await begin()];
        return comeBack(victim.browser, op.authorize(attacker.location));
      }));

    it('a second time', async () => {
      await linked('bob');
      const { browser, answer, location } = await begin();
      const back = op.authorize(location);
      const cookie = answer.headers.getSetCookie()[0]!.split(';')[0];
      expect((await comeBack(browser, back)).status).toBe(200);
      // The browser has lost the cookie; whoever copied it has not.
      for (const headers of [{}, { Cookie: cookie }])
        await unchanged(async () =>
          expect(await comeBack(new Browser(), op.authorize(location), headers)).toMatchObject(OVER),
        );
      expect(op.exchanged).toHaveLength(1);
    });

    it('four times at once: one is the first', async () => {
      await linked('bob');
      const { answer, location } = await begin();
      const headers = { Cookie: answer.headers.getSetCookie()[0]!.split(';')[0] };
      const backs = Array.from({ length: 4 }, () => op.authorize(location));
      const answers = await Promise.all(backs.map((back) => comeBack(new Browser(), back, headers)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ body }) => body.code === 'invalid_state')).toHaveLength(3);
    });

    it('after ten minutes', () =>
      refused(async () => {
        const { browser, location } = await begin();
        const back = op.authorize(location);
        const now = Date.now();
        jest.spyOn(Date, 'now').mockImplementation(() => now + 10 * 60_000 + 1);
        return comeBack(browser, back);
      }));

    it('with a cookie that was altered, is another provider’s, or came twice', async () => {
      const { answer, location } = await begin();
      const [name = '', value = ''] = answer.headers.getSetCookie()[0]!.split(';')[0]!.split('=');
      const others = (await begin('other')).answer.headers.getSetCookie()[0]!.split(';')[0]!.split('=');
      for (const cookie of [
        `${name}=${value.slice(0, -2)}AA`,
        `${name}=${value.split('.')[0]}.`,
        `${name}=`,
        `${name}=${others[1]}`,
        `${name}=${value}; ${name}=${value}`,
        `${name}=${value}; ${name}=x`,
        `${name.toUpperCase()}=${value}`,
      ])
        await refused(() => comeBack(new Browser(), op.authorize(location), { Cookie: cookie }));
    });
  });

  it('OIDCRP-02: an ID token without the nonce of this sign-in is not taken', async () => {
    await linked('bob');
    await unchanged(async () => {
      for (const nonce of [undefined, '', 'A'.repeat(43), 7, ['x']]) {
        op.lies.claims = { nonce };
        expect(await signIn()).toMatchObject(REFUSED);
      }
    });
  });

  describe('OIDCRP-03: the answer of one provider is never taken for another’s', () => {
    it.each<[string, (back: URL) => void]>([
      ['iss is another provider', ({ searchParams }) => searchParams.set('iss', other.issuer)],
      ['iss is nearly the provider', ({ searchParams }) => searchParams.set('iss', `${op.issuer}/`)],
      ['iss is missing, and the provider says that it sends one', (back) => back.searchParams.delete('iss')],
      ['iss came twice', (back) => (back.search += `&iss=${encodeURIComponent(other.issuer)}`)],
    ])('%s: the code goes nowhere', async (_, spoil) => {
      await linked('bob');
      await unchanged(async () => expect(await signIn('op', spoil)).toMatchObject(REFUSED));
      expect(op.exchanged).toEqual([]);
    });

    it('a provider that sends the browser on to another does not get the code that comes of it', async () => {
      await linked('bob');
      const { browser, location } = await begin('other');
      // The attacker's provider passes its state and challenge on, to where bob has an account.
      const honest = new URL((await begin('op')).location);
      for (const name of ['state', 'nonce', 'code_challenge'])
        honest.searchParams.set(name, location.searchParams.get(name)!);
      const back = op.authorize(honest);
      await unchanged(async () => {
        expect(await comeBack(browser, back)).toMatchObject(OVER);
        // Nor where somebody gives the cookie the other name: it is sealed for one provider.
        const renamed = { Cookie: browser.cookieOf(booted.origin).replace('oidc-other=', 'oidc-op=') };
        expect(await comeBack(new Browser(), back, renamed)).toMatchObject(OVER);
        const moved = new URL(back.href.replace('/op/callback', '/other/callback'));
        expect(await comeBack(browser, moved)).toMatchObject(REFUSED);
      });
      expect([op.exchanged, other.exchanged]).toEqual([[], []]);
    });

    it('each has a redirect URI of its own', () => {
      const uris = ['op', 'other'].map((id) => new URL(providers.redirectUri(providers.find(id))).pathname);
      expect(uris).toEqual(['/auth/oidc/op/callback', '/auth/oidc/other/callback']);
    });
  });

  it('OIDCRP-08: the same subject at two providers is two people', async () => {
    op.lies.sub = other.lies.sub = randomUUID();
    const [one, two] = [await signIn('open'), await signIn('other')].map(principalOfSlip);
    expect(one!.id).not.toBe(two!.id);
    await linked('bob');
    other.lies.sub = op.lies.sub;
    expect(principalOfSlip(await signIn('other')).id).not.toBe('bob');
  });

  describe('OIDCRP-10: a code that somebody else was given is of no use', () => {
    it('the provider refuses it, for want of the verifier', async () => {
      await linked('bob');
      const stolen = op.authorize((await begin()).location).searchParams.get('code')!;
      await unchanged(async () =>
        expect(await signIn('op', (back) => back.searchParams.set('code', stolen))).toMatchObject(REFUSED),
      );
      expect(op.exchanged[0]!.get('code_verifier')).toMatch(/^[\w-]{43}$/);
    });

    it('and where it does not look at that, the nonce of its token is another', async () => {
      await linked('bob');
      op.lies.checksPkce = false;
      const stolen = op.authorize((await begin()).location).searchParams.get('code')!;
      await unchanged(async () =>
        expect(await signIn('op', (back) => back.searchParams.set('code', stolen))).toMatchObject(REFUSED),
      );
    });

    it.each<[string, (back: URL) => void]>([
      ['a code that was made up', ({ searchParams }) => searchParams.set('code', 'made-up')],
      ['no code', ({ searchParams }) => searchParams.delete('code')],
      ['two codes', (back) => (back.search += '&code=another')],
      ['a token in place of a code', (back) => (back.search += '&id_token=e30.e30.')],
      ['a signed answer that nobody asked for', (back) => (back.search += '&response=e30.e30.')],
    ])('%s', async (_, spoil) => {
      await linked('bob');
      await unchanged(async () => expect(await signIn('op', spoil)).toMatchObject(REFUSED));
    });
  });

  it('OIDCRP-13: a front-channel logout does nothing, whatever it names: it is not offered', async () => {
    await linked('bob');
    const { body } = await signIn();
    for (const path of [
      '/auth/oidc/op/frontchannel-logout',
      `/auth/oidc/op/frontchannel-logout?iss=${op.issuer}&sid=x`,
      `/auth/oidc/op/logout?iss=${op.issuer}&sid=x`,
      '/auth/logout?iss=x&sid=x',
    ])
      expect((await client(booted.origin, withSlip(body.slip)).get(path)).status).toBe(404);
    expect((await client(booted.origin, withSlip(body.slip)).get('/me')).status).toBe(200);
  });

  describe('OIDCRP-15: what a provider says of its refusal is not repeated', () => {
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
      await unchanged(async () => {
        const answer = await signIn('op', (back) => {
          const state = back.searchParams.get('state')!;
          const description = '<script>alert(1)</script>';
          back.search = `${new URLSearchParams({ error, state, iss: op.issuer, error_description: description, error_uri: 'javascript:alert(1)' })}`;
        });
        expect([answer.status, answer.body.code]).toEqual([status, code]);
        expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
        expect(answer.text + [...answer.headers].flat().join()).not.toMatch(/script|alert/);
      });
      expect(op.exchanged).toEqual([]);
    });

    it('a refusal with another state is none', async () => {
      const { browser, location } = await begin();
      const back = op.authorize(location);
      const forged = new URL(back);
      forged.search = 'error=access_denied&state=x';
      expect(await comeBack(browser, forged)).toMatchObject(OVER);
      // Nor does it end the sign-in that is under way.
      await linked('bob');
      expect((await comeBack(browser, op.authorize(location))).status).toBe(200);
    });

    it('is in the audit log, as a sign-in that failed', async () => {
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

  it('OIDCRP-16: keys that the provider changed meanwhile are found, and are not asked for at every token', async () => {
    await linked('bob');
    const before = op.keys;
    const now = Date.now();
    const later = (seconds: number) => jest.spyOn(Date, 'now').mockReturnValue(now + seconds * 1000);
    later(0);
    expect((await signIn()).status).toBe(200);
    expect(op.asked['/jwks']).toBe(1);
    const { browser, location } = await begin();
    op.keys = [await newKey('second'), ...before];
    later(61);
    expect((await comeBack(browser, op.authorize(location))).status).toBe(200);
    expect(op.asked['/jwks']).toBe(2);

    // A key that nobody has is no reason to ask again and again.
    op.lies.header = { kid: 'unknown' };
    for (let i = 0; i < 5; i++) expect(await signIn()).toMatchObject(REFUSED);
    expect(op.asked['/jwks']).toBe(2);
    later(122);
    for (let i = 0; i < 5; i++) expect(await signIn()).toMatchObject(REFUSED);
    expect(op.asked['/jwks']).toBe(3);
    op.keys = before;
  });

  describe('OIDCRP-17: a provider that is not ours: oidc-provider', () => {
    let independent: TestProvider | undefined;
    afterEach(() => independent?.close());

    async function enter(id: string, registered: object, own: Partial<OidcProvider>) {
      const redirectUri = (from: string) => providers.redirectUri(configured(from, { id }));
      independent = await startProvider(redirectUri, registered);
      independent.person = randomUUID();
      providers.add(configured(independent.issuer, { id, create: { roles: ['viewer'] }, ...own }));
      const { browser, location } = await begin(id);
      return comeBack(browser, await throughTheProvider(location));
    }

    it.each(['client_secret_basic', 'client_secret_post'] as const)('signs in by %s', async (method) => {
      const answer = await enter('real', { token_endpoint_auth_method: method }, { clientAuth: method });
      expect([answer.status, principalOfSlip(answer).roles]).toEqual([200, ['viewer']]);
    });

    it('signs in by private_key_jwt: no secret is shared', async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      const own = { alg: 'ES256', kid: 'ours', use: 'sig' };
      const answer = await enter(
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
      expect(answer.status).toBe(200);
    });

    it('a wrong secret signs nobody in, and is our own fault', async () => {
      await unchanged(async () =>
        expect(await enter('real', {}, { clientSecret: 'wrong' })).toMatchObject({
          status: 502,
          body: { code: 'provider_error' },
        }),
      );
    });
  });

  it('an e-mail address, a username or an id that the provider names links nothing, verified or not', async () => {
    op.lies.sub = 'bob';
    for (const email_verified of [true, false]) {
      op.lies.claims = { email: 'bob', email_verified, preferred_username: 'bob', upn: 'bob', name: 'bob' };
      await unchanged(async () => expect((await signIn()).body.code).toBe('identity_not_linked'));
    }
    op.lies.sub = randomUUID();
    expect(principalOfSlip(await signIn('open')).id).not.toBe('bob');
    expect(await booted.db.manager.countBy(OidcIdentity, { userId: 'bob', subject: op.lies.sub })).toBe(0);
  });

  it('a subject is compared as it is: no case, no blanks, no other length', async () => {
    await linked('bob', { subject: 'Bob-1' });
    for (const sub of ['bob-1', 'BOB-1', 'Bob-1 ', ' Bob-1', 'Bob-10', 'Bob-']) {
      op.lies.sub = sub;
      expect((await signIn()).body.code).toBe('identity_not_linked');
    }
    for (const sub of ['', 'x'.repeat(256), 'Bob-1\u0000', 'Bob-1\u00a0', 1, ['Bob-1'], null]) {
      op.lies.claims = { sub };
      expect(await signIn('open')).toMatchObject(REFUSED);
    }
    op.lies.claims = {};
    op.lies.sub = 'Bob-1';
    expect((await signIn()).status).toBe(200);
  });

  it('a disabled account stays outside, and looks like any other wrong identity', async () => {
    await linked('carol');
    await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: new Date() });
    await unchanged(async () => expect(await signIn()).toMatchObject(REFUSED));
    await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: null });
    const [event] = (await events({ event: 'authn_login_fail', method: 'oidc-login' })).slice(-1);
    expect([event!.userId, event!.details['reason']]).toEqual(['carol', 'the account carol is disabled']);
  });

  it('an account of another tenant is not opened by this tenant’s provider', async () => {
    await linked('mallory');
    await unchanged(async () => expect(await signIn()).toMatchObject(REFUSED));
    change('op', { tenant: 'globex' });
    expect((await signIn()).status).toBe(200);
  });

  it('a sign-in that is under way while all sign-ins are ended is over before it starts', async () => {
    await linked('bob');
    issuer.before = async () => {
      issuer.before = async () => {};
      await booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));
    };
    const { status, body } = await signIn();
    expect(status).toBe(200);
    expect((await client(booted.origin, withSlip(body.slip)).get('/me')).status).toBe(401);
  });

  it('nobody is sent on to another site: returnTo is a path of this origin, or nothing', async () => {
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
      const { answer } = await begin('op', { as: 'crumb', returnTo });
      expect([returnTo, answer.status, answer.body.code]).toEqual([returnTo, 400, 'invalid_query']);
      const proof = { method: 'slip', at: new Date(), amr: [], bound: false } as const;
      const me = client(booted.origin, as({ id: 'bob', proofs: [proof] }));
      expect((await me.post('/auth/oidc/op/link', { returnTo })).status).toBe(422);
    }
  });

  describe('a provider that cannot be used is no fault of ours, and costs little', () => {
    const elsewhere = (_: unknown, response: ServerResponse) =>
      response.writeHead(307, { Location: `${other.issuer}/token` }).end();

    it('a redirect is not followed: neither the code nor the secret goes to where it leads', async () => {
      await linked('bob');
      for (const path of ['/token', '/jwks', '/.well-known/openid-configuration']) {
        op.lies.instead = {};
        change('op', {});
        const { browser, location, answer } = await begin();
        expect(answer.status).toBe(303);
        op.lies.instead = { [path]: elsewhere };
        if (path.includes('well-known')) change('op', {});
        expect(await comeBack(browser, op.authorize(location))).toMatchObject({
          status: 502,
          body: { code: 'provider_error' },
        });
      }
      expect(other.asked).toEqual({});
    });

    it.each<[string, (response: ServerResponse) => void, number]>([
      ['an error', (response) => response.writeHead(500).end(), 502],
      ['something that is no JSON', (response) => response.end('<html>'), 502],
      [
        'a list',
        (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('[]'),
        502,
      ],
      ['a connection that ends', (response) => response.destroy(), 503],
    ])('%s in place of its metadata: nobody is sent there', async (_, instead, status) => {
      op.lies.instead = { '/.well-known/openid-configuration': (__, response) => instead(response) };
      const { answer } = await begin();
      expect([answer.status, answer.headers.getSetCookie()]).toEqual([status, []]);
    });

    it('metadata of more than 256 KiB is not read to its end', async () => {
      op.lies.metadata = { more: 'x'.repeat(200_000) };
      expect((await begin()).answer.status).toBe(303);
      op.lies.metadata = { more: 'x'.repeat(300_000) };
      change('op', {});
      expect((await begin()).answer.status).toBe(502);
    });

    it.each([undefined, 'no URL', 'javascript:alert(1)'])('nobody is sent to %s', async (endpoint) => {
      op.lies.metadata = { authorization_endpoint: endpoint };
      const { answer } = await begin();
      expect([answer.status, answer.body.code, answer.headers.getSetCookie()]).toEqual([
        502,
        'provider_error',
        [],
      ]);
    });

    it('one that answers with a body without an end, or not at all, is left after a while', async () => {
      const timeout = AbortSignal.timeout.bind(AbortSignal);
      jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
        expect(ms).toBe(5_000);
        return timeout(100);
      });
      for (const instead of [() => {}, (_: unknown, response: ServerResponse) => void response.write('{')]) {
        op.lies.instead = { '/.well-known/openid-configuration': instead };
        change('op', {});
        const { answer } = await begin();
        expect([answer.status, answer.body.code]).toEqual([503, 'provider_unavailable']);
        expect(answer.headers.get('retry-after')).toBe('10');
      }
    });

    it('is asked for its metadata once an hour; where that failed, once in ten seconds', async () => {
      const path = '/.well-known/openid-configuration';
      const now = Date.now();
      const later = (ms: number) => jest.spyOn(Date, 'now').mockReturnValue(now + ms);
      const asked = async () => {
        await Promise.all([begin(), begin(), begin()]);
        return op.asked[path];
      };
      later(0);
      expect(await asked()).toBe(1);
      later(60 * 60_000 - 1);
      expect(await asked()).toBe(1);
      op.lies.instead = { [path]: (_, response) => response.writeHead(500).end() };
      later(60 * 60_000);
      expect(await asked()).toBe(2);
      later(60 * 60_000 + 9_000);
      expect(await asked()).toBe(2);
      op.lies.instead = {};
      later(60 * 60_000 + 11_000);
      expect((await begin()).answer.status).toBe(303);
      expect(op.asked[path]).toBe(3);
    });

    it('its secret, its codes and its tokens are in no event', async () => {
      await linked('bob');
      await signIn();
      const codes = op.exchanged.flatMap((body) => [body.get('code')!, body.get('code_verifier')!]);
      const written = JSON.stringify(await events({}));
      for (const secret of ['secret', ...codes]) expect(written).not.toContain(secret);
    });
  });
});

describe('oidc-login, ending in each issuer that is installed', () => {
  let whole: Booted;
  let names: readonly string[];
  beforeAll(async () => {
    whole = await boot();
    names = whole.app.get(IssuerRegistry).names;
    const all = whole.app.get(OidcProviders, { strict: false });
    all.add(configured(op.issuer, { id: 'op', create: { roles: ['viewer'] } }));
  });
  afterAll(() => whole.close());

  /** What a browser says of a page that another site sent it to. */
  const FROM_THERE = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };

  async function enter(name: string, returnTo?: string) {
    const { browser, location } = await begin(
      'op',
      { as: name, ...(returnTo && { returnTo }) },
      whole.origin,
    );
    const back = op.authorize(location);
    const answer = await seen(
      await browser.get(new URL(back.pathname + back.search, whole.origin), { headers: FROM_THERE }),
    );
    return { browser, answer };
  }

  /** Sends what was issued along. */
  const carrying = ({ browser, answer: { body } }: Awaited<ReturnType<typeof enter>>) =>
    client(whole.origin, {
      Cookie: browser.cookieOf(whole.origin),
      ...(body.access_token && { Authorization: `${body.token_type} ${body.access_token}` }),
      ...(body.csrf_token && { 'X-CSRF-Token': body.csrf_token, 'Sec-Fetch-Site': 'same-origin' }),
    });

  it('signs in, although the browser comes from another site, and writes it down', async () => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      op.lies.sub = randomUUID();
      const entered = await enter(name);
      expect([name, entered.answer.status]).toEqual([name, 200]);
      const { status, body } = await carrying(entered).get(`/demo/${name}`);
      expect([status, body.tenantId, body.roles]).toEqual([200, 'acme', ['viewer']]);
      const where = { userId: body.id as string, event: 'authn_login_success' as const };
      expect(await whole.db.manager.findBy(AuditEvent, where)).toMatchObject([
        { method: 'oidc-login', details: { as: name } },
      ]);
    }
  });

  it('changes what opens the account only for its own pages', async () => {
    for (const name of names) {
      op.lies.sub = randomUUID();
      const entered = await enter(name);
      const me = carrying(entered);
      const [identity] = (await me.get('/oidc-identities')).body.items;
      expect((await me.post('/auth/oidc/op/link')).status).toBe(200);
      const cookie = entered.browser.cookieOf(whole.origin);
      if (cookie) {
        // What another site makes the browser ask for: the cookie goes along, and nothing else does.
        const foreign = client(whole.origin, { Cookie: cookie, ...FROM_THERE });
        expect((await foreign.post('/auth/oidc/op/link')).status).toBe(403);
        expect((await foreign.send('DELETE', `/oidc-identities/${identity.id}`)).status).toBe(403);
      }
      expect((await me.get('/oidc-identities')).body.items).toHaveLength(1);
    }
  });

  it('goes on to a page with what a browser keeps, and with nothing else', async () => {
    for (const name of names) {
      op.lies.sub = randomUUID();
      const { answer } = await enter(name);
      const isKept = answer.headers.getSetCookie().some((line) => !line.startsWith('oidc-'));
      if (isKept) {
        const { answer: sent, browser } = await enter(name, '/me');
        expect([sent.status, sent.headers.get('location')]).toEqual([303, '/me']);
        expect((await browser.get(`${whole.origin}/me`)).status).toBe(200);
      } else expect((await begin('op', { as: name, returnTo: '/me' }, whole.origin)).answer.status).toBe(400);
    }
  });
});

it('in production it is over HTTPS only, and the cookie is bound to this host', async () => {
  const production = await boot({
    methods: [oidcLogin, slip],
    env: {
      NODE_ENV: 'production',
      APP_SECRET: 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5',
      PUBLIC_URL: 'https://api.atlas.test',
      TRUST_PROXY: '127.0.0.1',
    },
    logTo: { write: () => {} },
  });
  production.app.get(OidcProviders).add(configured(op.issuer, { id: 'op' }));
  const { get } = client(production.origin, { Host: 'api.atlas.test' });
  for (const path of ['/auth/oidc/op?as=slip', '/auth/oidc/op/callback?code=x&state=x'])
    expect(await get(path)).toMatchObject({ status: 403, body: { code: 'https_required' } });
  const { status, headers } = await get('/auth/oidc/op?as=slip', { 'X-Forwarded-Proto': 'https' });
  expect([status, headers.getSetCookie()]).toEqual([
    303,
    [expect.stringMatching(/^__Host-oidc-op=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Secure; Max-Age=600$/)],
  ]);
  const redirectUri = new URL(headers.get('location')!).searchParams.get('redirect_uri');
  expect(redirectUri).toBe('https://api.atlas.test/auth/oidc/op/callback');
  await production.close();
});
