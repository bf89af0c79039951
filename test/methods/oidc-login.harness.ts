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
import { SlipIssuer, slip } from '../support/test-issuer.js';
import { Browser } from './oidc-login.browser.js';
import { configured } from './oidc-login.configured.js';
import { Forge } from './oidc-login.forge.js';

declare module '../../src/authentication/principal.js' {
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
export async function seen(response: Response) {
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    body: json && text ? JSON.parse(text) : text,
    headers: response.headers,
    text,
  };
}

/** The application, and two providers: `op` at `op` and (making accounts) at `open`, and `other`. */
export let booted: Booted;
export let op: Forge;
export let other: Forge;
export let issuer: SlipIssuer;
export let providers: OidcProviders;

/** Starts them for the tests of a file. */
export function start(): void {
  beforeAll(async () => {
    [op, other] = [await Forge.start(), await Forge.start()];
    booted = await boot({ methods: [oidcLogin, slip, crumb, testMethod] });
    issuer = booted.app.get(SlipIssuer, { strict: false });
    providers = booted.app.get(OidcProviders, { strict: false });
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
}

export const change = (id: string, more: Partial<OidcProvider>) =>
  providers.add({ ...providers.find(id), ...more });
export const users = () => booted.db.manager.countBy(User, {});
export const identities = (where: Partial<Record<'id' | 'subject', string>> = {}) =>
  booted.db.manager.findBy(OidcIdentity, where);
export const events = (where: Partial<AuditEvent>) =>
  booted.db.manager.find(AuditEvent, { where: where as object, order: { seq: 'ASC' } });

/** Links somebody of the provider with an account of the demo. */
export async function linked(userId: string, more: Partial<OidcIdentity> = {}): Promise<OidcIdentity> {
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
export async function begin(provider = 'op', wanted: Partial<SignInOptions> = {}, origin = booted.origin) {
  const browser = new Browser();
  const answer = await seen(await browser.get(signInUrl(origin, { provider, as: 'slip', ...wanted })));
  const sent = answer.headers.get('location');
  return { browser, answer, location: new URL(sent ?? 'about:blank') };
}

/** The browser comes back, to where this server listens. */
export const comeBack = async (browser: Browser, back: URL, headers = {}) =>
  seen(await browser.get(new URL(back.pathname + back.search, booted.origin), { headers }));

/** The whole way. @param spoil changes where the browser is sent back to */
export async function signIn(
  provider = 'op',
  spoil: (back: URL) => void = () => {},
  wanted: Partial<SignInOptions> = {},
) {
  const { browser, location } = await begin(provider, wanted);
  const back = (provider === 'other' ? other : op).authorize(location);
  spoil(back);
  return comeBack(browser, back);
}

export const principalOfSlip = (answer: { body: { slip: string } }) =>
  issuer.slips.get(answer.body.slip)!.principal;

/** That nothing has happened: nobody is signed in, and there is nobody new. */
export async function unchanged(work: () => Promise<void>): Promise<void> {
  const before = [issuer.slips.size, await users(), (await identities()).length];
  await work();
  expect([issuer.slips.size, await users(), (await identities()).length]).toEqual(before);
}

export const REFUSED = { status: 401, body: { code: 'invalid_identity' } };
export const OVER = { status: 400, body: { code: 'invalid_state' } };
