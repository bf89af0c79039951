import { afterAll, afterEach, beforeAll, beforeEach, expect, jest } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import { Strategy } from 'passport-custom';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { BadCredential, Challenge } from '../../src/authentication/challenge.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import type { Principal } from '../../src/authentication/principal.js';
import * as oidcLogin from '../../src/methods/oidc-login/index.js';
import { signInUrl, type SignInOptions } from '../../src/methods/oidc-login/oidc-login.client.js';
import type { OidcProvider } from '../../src/methods/oidc-login/oidc-login.config.js';
import { OidcIdentity } from '../../src/methods/oidc-login/oidc-login.entity.js';
import { OidcProviders } from '../../src/methods/oidc-login/oidc-login.providers.service.js';
import { User } from '../../src/users/user.entity.js';
import { boot, testMethod, type Booted } from '../support/app.js';
import { TestIssuer, testIssuer } from '../support/test-issuer.js';
import { Browser } from './oidc-login.browser.js';
import { FakeProvider, providerConfig } from './oidc-login.fake-provider.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    ambient: true;
  }
}

/** An issuer whose strategy is ambient, like the session method's. */
@Injectable()
class AmbientIssuer extends TestIssuer {}

@Injectable()
class AmbientStrategy extends PassportStrategy(Strategy, 'ambient') implements AuthStrategy {
  readonly challenge = new Challenge('Ambient');
  readonly ambient = true;
  claims = () => false;

  validate(): Principal {
    throw new BadCredential('invalid_ambient', 'never valid');
  }
}

@Module({ providers: [AmbientStrategy, AmbientIssuer] })
class AmbientModule {}

const ambient: AuthMethod = {
  name: 'ambient',
  module: AmbientModule,
  strategy: AmbientStrategy,
  issuer: AmbientIssuer,
};

/** Reads a response for assertions. */
export async function readResponse(response: Response) {
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    body: json && text ? JSON.parse(text) : text,
    headers: response.headers,
    text,
  };
}

/** The application and two providers: `op`, configured as `op` and (creating accounts) as `open`, and `other`. */
export let booted: Booted;
export let op: FakeProvider;
export let other: FakeProvider;
export let issuer: TestIssuer;
export let providers: OidcProviders;

/** Starts them before the tests of a file. */
export function setUp(): void {
  beforeAll(async () => {
    [op, other] = [await FakeProvider.start(), await FakeProvider.start()];
    booted = await boot({ methods: [oidcLogin, testIssuer, ambient, testMethod] });
    issuer = booted.app.get(TestIssuer, { strict: false });
    providers = booted.app.get(OidcProviders, { strict: false });
  });
  afterAll(async () => {
    await booted.close();
    await Promise.all([op.close(), other.close()]);
  });
  beforeEach(() => {
    for (const fakeProvider of [op, other]) fakeProvider.reset();
    // Adding a provider again also discards its cached metadata.
    providers.add(providerConfig(op.issuer, { id: 'op' }));
    providers.add(providerConfig(op.issuer, { id: 'open', create: { roles: ['viewer'] } }));
    providers.add(providerConfig(other.issuer, { id: 'other', create: { roles: ['viewer'] } }));
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
}

export const reconfigure = (id: string, more: Partial<OidcProvider>) =>
  providers.add({ ...providers.find(id), ...more });
export const users = () => booted.db.manager.countBy(User, {});
export const identities = (where: Partial<Record<'id' | 'subject', string>> = {}) =>
  booted.db.manager.findBy(OidcIdentity, where);
export const events = (where: Partial<AuditEvent>) =>
  booted.db.manager.find(AuditEvent, { where: where as object, order: { seq: 'ASC' } });

/** Links a new user of the provider with a demo account. */
export async function linkIdentity(userId: string, more: Partial<OidcIdentity> = {}): Promise<OidcIdentity> {
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
  op.overrides.sub = identity.subject;
  return identity;
}

/** Starts a sign-in in a new browser. `location` is the authorization URL. */
export async function startSignIn(
  provider = 'op',
  options: Partial<SignInOptions> = {},
  origin = booted.origin,
) {
  const browser = new Browser();
  const response = await readResponse(
    await browser.get(signInUrl(origin, { provider, as: 'test-issuer', ...options })),
  );
  const sent = response.headers.get('location');
  return { browser, response, location: new URL(sent ?? 'about:blank') };
}

/** Sends the callback to the address on which this server listens. */
export const sendCallback = async (browser: Browser, back: URL, headers = {}) =>
  readResponse(await browser.get(new URL(back.pathname + back.search, booted.origin), { headers }));

/** A complete sign-in. @param tamper changes the callback URL */
export async function signIn(
  provider = 'op',
  tamper: (back: URL) => void = () => {},
  options: Partial<SignInOptions> = {},
) {
  const { browser, location } = await startSignIn(provider, options);
  const back = (provider === 'other' ? other : op).authorize(location);
  tamper(back);
  return sendCallback(browser, back);
}

export const issuedPrincipal = (response: { body: { test_token: string } }) =>
  issuer.tokens.get(response.body.test_token)!.principal;

/** Expects that no credential is issued, and no account or identity created. */
export async function expectNoChange(work: () => Promise<void>): Promise<void> {
  const before = [issuer.tokens.size, await users(), (await identities()).length];
  await work();
  expect([issuer.tokens.size, await users(), (await identities()).length]).toEqual(before);
}

export const INVALID_IDENTITY = { status: 401, body: { code: 'invalid_identity' } };
export const INVALID_STATE = { status: 400, body: { code: 'invalid_state' } };
