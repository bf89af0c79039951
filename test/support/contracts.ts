import { readdirSync } from 'node:fs';
import { FACTORS, type FactorProperties } from '../../src/authentication/factors.js';
import type { AuthMethod } from '../../src/authentication/method.js';
import type { Contract, Credential, Running } from '../method.contract.js';

/** The contract of a method, from the method's own file. A test that covers all methods so imports none by name. */
export async function contractOf(method: string): Promise<Contract> {
  return ((await import(`../methods/${method}.contract.js`)) as { contract: Contract }).contract;
}

/** The contracts of all methods. */
export function allContracts(): Promise<Contract[]> {
  const files = readdirSync(new URL('../methods', import.meta.url));
  return Promise.all(
    files.flatMap((file) => {
      const [, method] = /^(.+)\.contract\.[jt]s$/.exec(file) ?? [];
      return method ? [contractOf(method)] : [];
    }),
  );
}

/** Sends a request with the credential. */
export async function send(
  { sign, fetch: sendRequest = fetch }: Credential,
  url: string,
  init?: RequestInit,
): Promise<Response> {
  return sendRequest(await sign(new Request(url, init)));
}

/** A challenge as a pattern. `…` matches any value, such as a nonce. */
export const challengePattern = (challenge: string): RegExp =>
  new RegExp(
    `^${challenge
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^"]*')}$`,
  );

/**
 * Whether a method starts a sign-in: a ceremony that is not only a second factor. The ceremony of a second factor leaves its account
 * with it, so that the others need it, too.
 */
export const startsSignIn = ({ name, strategy }: AuthMethod): boolean =>
  !strategy && (FACTORS as Readonly<Record<string, FactorProperties>>)[name]?.first !== false;

/** Signs a user in by a ceremony that ends in the named issuer. @returns the last response */
export type Ceremony = (running: Running, userId: string, issuer: string) => Promise<Response>;

/** The sign-in of a ceremony, from the ceremony's own file. */
export async function ceremonyOf(method: string): Promise<Ceremony> {
  return ((await import(`../methods/${method}.ceremony.js`)) as { ceremony: Ceremony }).ceremony;
}
