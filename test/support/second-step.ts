import { MfaTickets } from '../../src/users/mfa-tickets.service.js';
import { User } from '../../src/users/user.entity.js';
import type { Principal } from '../../src/authentication/principal.js';
import type { Running } from '../method.contract.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    test: true;
  }
}

/** A caller of the demo who has just signed in by a password. */
export const signedIn = (id: string): Principal => ({
  id,
  kind: 'user',
  tenantId: 'acme',
  roles: [],
  proofs: [{ method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true }],
});

/** The ticket of a sign-in by password that waits for a second factor. It needs no method that proves the first one. */
export async function mfaTicket(
  { app, db }: Pick<Running, 'app' | 'db'>,
  userId: string,
  issuer: string,
): Promise<string> {
  const { epoch } = await db.manager.findOneByOrFail(User, { id: userId });
  return app
    .get(MfaTickets, { strict: false })
    .create({ accountId: userId, epoch, as: issuer, method: 'test', amr: ['pwd'] });
}

/** Sends a second factor. */
export const proveSecondFactor = (origin: string, mfa_token: string, proof: object): Promise<Response> =>
  fetch(`${origin}/auth/mfa`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ mfa_token, ...proof }),
  });
