import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { exportJWK, generateKeyPair } from 'jose';
import { randomUUID } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { AuditEvent } from '../../src/audit/index.js';
import {
  BadCredential,
  Challenge,
  Issuers,
  type AuthMethod,
  type AuthStrategy,
  type Principal,
} from '../../src/auth/index.js';
import * as oidcLogin from '../../src/methods/oidc-login/index.js';
import { signInUrl, type Wanted } from '../../src/methods/oidc-login/oidc-login.client.js';
import type { Provider } from '../../src/methods/oidc-login/oidc-login.config.js';
import { OidcIdentity } from '../../src/methods/oidc-login/oidc-login.entity.js';
import { Providers } from '../../src/methods/oidc-login/oidc-login.providers.js';
import { User, endAllSignIns } from '../../src/users/index.js';
import { as, boot, client, testMethod, type Booted } from '../app.js';
import { SlipIssuer, slip, withSlip } from '../slip.js';
import { Browser } from './oidc-login.browser.js';
import { Forge, newKey } from './oidc-login.forge.js';
import { configured, startProvider, throughTheProvider, type TestProvider } from './oidc-login.provider.js';

declare module '../../src/auth/principal.js' {
  interface AuthMethods {
    crumb: true;
  }
}

/** An issuer whose answer the browser keeps, as it keeps a session's cookie. */
@Injectable()
class CrumbIssuer extends SlipIssuer {}

@Injectable()
class CrumbStrategy extends PassportStrategy(Strategy, 'crumb') implements AuthStrategy {
  readonly challenge = new Challenge('Crumb');
  readonly ambient = true;
  claims = () => false;

  validate(): Principal {
    throw new BadCredential('invalid_crumb', 'nobody is asked');
  }
}

@Module({ providers: [CrumbStrategy, CrumbIssuer] })
class CrumbModule {}

const crumb: AuthMethod = {
  name: 'crumb',
  module: CrumbModule,
  strategy: CrumbStrategy,
  issuer: CrumbIssuer,
};

/** What can be asserted on an answer. */
async function seen(response: Response) {
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    // oxlint-disable-next-line typescript/no-explicit-any -- a test asserts on whatever came
    body: (json && text ? JSON.parse(text) : text) as any,
    headers: response.headers,
    text,
  };
}

let [booted, other, op]: [Booted, Forge, Forge] = [] as never;
let issuer: SlipIssuer;
let providers: Providers;

beforeAll(async () => {
  [op, other] = [await Forge.start(), await Forge.start()];
  booted = await boot({ methods: [oidcLogin, slip, crumb, testMethod] });
  issuer = booted.app.get(SlipIssuer, { strict: false });
  providers = booted.app.get(Providers, { strict: false });
});
afterAll(async () => {
  await booted.close();
  await Promise.all([op.close(), other.close()]);
});
beforeEach(() => {
  for (const forge of [op, other]) forge.reset();
  // What was discovered is forgotten, too.
  providers.add(configured(op.issuer, { id: 'op' }));
  providers.add(configured(op.issuer, { id: 'open', create: { roles: ['viewer'] } }));
  providers.add(configured(other.issuer, { id: 'other', create: { roles: ['viewer'] } }));
});
afterEach(() => {
  jest.restoreAllMocks();
});

const change = (id: string, more: Partial<Provider>) => providers.add({ ...providers.find(id), ...more });
const users = () => booted.db.manager.countBy(User, {});
const identities = (where: Partial<OidcIdentity> = {}) => booted.db.manager.findBy(OidcIdentity, where);
const events = (where: Partial<AuditEvent>) =>
  booted.db.manager.find(AuditEvent, { where: where as object, order: { seq: 'ASC' } });

/** Links somebody of the provider with an account of the demo. */
async function linked(userId: string, more: Partial<OidcIdentity> = {}): Promise<OidcIdentity> {
  const identity: OidcIdentity = {
    id: randomUUID(),
    userId,
    issuer: op.issuer,
    subject: randomUUID(),
    provider: 'op',
    createdAt: new Date(),
    lastUsedAt: null,
    ...more,
  };
  await booted.db.manager.insert(OidcIdentity, identity);
  op.lies.sub = identity.subject;
  return identity;
}

/** A browser that has begun to sign in, and where it was sent to. */
async function begin(provider = 'op', wanted: Partial<Wanted> = {}, origin = booted.origin) {
  const browser = new Browser();
  const answer = await seen(await browser.get(signInUrl(origin, { provider, as: 'slip', ...wanted })));
  const sent = answer.headers.get('location');
  return { browser, answer, location: new URL(sent ?? 'about:blank') };
}

/** The browser comes back, to where this server listens. */
const comeBack = async (browser: Browser, back: URL, headers = {}) =>
  seen(await browser.get(new URL(back.pathname + back.search, booted.origin), { headers }));

/** The whole way. @param spoil changes where the browser is sent back to */
async function signIn(provider = 'op', spoil: (back: URL) => void = () => {}, wanted: Partial<Wanted> = {}) {
  const { browser, location } = await begin(provider, wanted);
  const back = (provider === 'other' ? other : op).authorize(location);
  spoil(back);
  return comeBack(browser, back);
}

const principalOfSlip = (answer: { body: { slip: string } }) => issuer.slips.get(answer.body.slip)!.principal;

/** That nothing has happened: nobody is signed in, and there is nobody new. */
async function unchanged(work: () => Promise<void>): Promise<void> {
  const before = [issuer.slips.size, await users(), (await identities()).length];
  await work();
  expect([issuer.slips.size, await users(), (await identities()).length]).toEqual(before);
}

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
      reason: 'no account is linked to that subject',
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
      expect([status, body.code]).toEqual([409, 'identity_taken']);
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
        [as({ id: 'bob', proofs: [proof({ at: old })] }), 'fresh_sign_in_required'],
        [as({ id: 'bob', proofs: [proof({ method: 'test' })] }), 'fresh_sign_in_required'],
        [await fresh('bob', { scopes: ['documents:read'] }), 'beyond_your_credential'],
        [as({ id: 'bob', proofs: [proof({ confined: true })] }), 'beyond_your_credential'],
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
