import { readdirSync } from 'node:fs';
import type { Contract, Credential, Running } from '../method.contract.js';

/** The contract of a method that proves requests, from the method's own file: whoever loops over all names none. */
export async function contractOf(method: string): Promise<Contract> {
  return ((await import(`../methods/${method}.contract.js`)) as { contract: Contract }).contract;
}

/** Those of all methods. */
export function allContracts(): Promise<Contract[]> {
  const files = readdirSync(new URL('../methods', import.meta.url));
  return Promise.all(
    files.flatMap((file) => {
      const [, method] = /^(.+)\.contract\.[jt]s$/.exec(file) ?? [];
      return method ? [contractOf(method)] : [];
    }),
  );
}

/** Sends a request with the credential, as its holder does. */
export async function send(
  { sign, fetch: own = fetch }: Credential,
  url: string,
  init?: RequestInit,
): Promise<Response> {
  return own(await sign(new Request(url, init)));
}

/** A challenge in which `…` stands for what is made anew each time. */
export const challengePattern = (challenge: string): RegExp =>
  new RegExp(
    `^${challenge
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^"]*')}$`,
  );

/** The way through a ceremony, which proves no requests and so has no contract; it ends in the issuer that is named. */
export type Ceremony = (running: Running, userId: string, issuer: string) => Promise<Response>;

export async function ceremonyOf(method: string): Promise<Ceremony> {
  return ((await import(`../methods/${method}.ceremony.js`)) as { ceremony: Ceremony }).ceremony;
}
