import { randomUUID } from 'node:crypto';
import type { Proof } from '../../src/authentication/principal.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import * as passkey from '../../src/methods/passkey/index.js';
import type { SoftwareAuthenticator } from '../../src/methods/passkey/passkey.client.js';
import { Passkey } from '../../src/methods/passkey/passkey.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, testMethod, type BootOptions, type Booted } from '../support/app.js';
import { TestIssuer, testIssuer, withTestToken } from '../support/test-issuer.js';
import { ForgingAuthenticator } from './passkey.forge.js';
import { JsonBrowser, addPasskey, configOf } from './passkey.harness.js';

// oxlint-disable-next-line typescript/no-explicit-any -- a test asserts its shape
export type Json = any;
export const json = async (response: Response): Promise<Json> => response.json();
export const statusAndCode = async (response: Response) => [response.status, (await json(response)).code];

/** Starts the application with passkeys as the only factor that a person can set up. */
export const bootWithPasskeys = (options: BootOptions = {}) =>
  boot({ methods: [passkey, testIssuer, testMethod], ...options });

/** Creates an account with any ways to sign in, besides passkeys. */
export async function someone({ db }: Booted, own: Partial<User> = {}): Promise<string> {
  const id = `user-${randomUUID().slice(0, 8)}`;
  await db.manager.insert(User, {
    id,
    username: id,
    name: null,
    tenantId: 'acme',
    roles: ['editor'],
    kind: 'user',
    disabledAt: null,
    epoch: 0,
    ...own,
  });
  return id;
}

export const forgerFor = (booted: Booted) => new ForgingAuthenticator(configOf(booted).origins[0]!);

/** An account with a passkey, the authenticator that holds it, and a browser without cookies. */
export async function holder(booted: Booted, own: Partial<User> = {}) {
  const id = await someone(booted, own);
  const authenticator = forgerFor(booted);
  const { id: passkeyId } = await addPasskey(booted, id, authenticator);
  return { id, authenticator, passkeyId, browser: new JsonBrowser(booted.origin) };
}

/** A browser that sends a token of the account, and a client that sends it without cookies. */
export async function signedIn(
  booted: Booted,
  id: string,
  proof: Partial<Proof> = {},
  scopes?: readonly string[],
) {
  const { epoch, tenantId } = await booted.db.manager.findOneByOrFail(User, { id });
  const { tokens } = booted.app.get(TestIssuer, { strict: false });
  const token = randomUUID();
  const own: Proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true, ...proof };
  const principal = {
    id,
    tenantId,
    kind: 'user',
    roles: [],
    proofs: [own],
    ...(scopes && { scopes }),
  } as const;
  tokens.set(token, { userId: id, epoch, principal });
  const headers = withTestToken(token);
  return { browser: new JsonBrowser(booted.origin, headers), api: client(booted.origin, headers) };
}

/** Requests a challenge and signs it. */
export async function assertion(
  browser: JsonBrowser,
  authenticator: SoftwareAuthenticator,
  options: object = {},
) {
  return authenticator.get(await json(await browser.post('/auth/passkey/options', options)));
}

export const sendAssertion = (browser: JsonBrowser, credential: object, more: object = {}) =>
  browser.post('/auth/passkey', { credential, as: 'test-issuer', ...more });

export const signIn = async (
  browser: JsonBrowser,
  authenticator: SoftwareAuthenticator,
  options: object = {},
) => sendAssertion(browser, await assertion(browser, authenticator, options));

/** Requests a challenge and creates a passkey. */
export async function creation(browser: JsonBrowser, authenticator: SoftwareAuthenticator) {
  return authenticator.create(await json(await browser.post('/passkeys/options', {})));
}

export const register = async (
  browser: JsonBrowser,
  authenticator: SoftwareAuthenticator,
  more: object = {},
) => browser.post('/passkeys', { credential: await creation(browser, authenticator), ...more });

export const passkeysOf = ({ db }: Booted, userId: string) => db.manager.findBy(Passkey, { userId });

/** The reason of the last audit event with this code. */
export async function lastReason({ db }: Booted, code: string): Promise<string | undefined> {
  const events = await db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 50 });
  const details = events.map((event) => event.details as Json);
  return details.find((each) => each?.code === code)?.reason as string | undefined;
}
