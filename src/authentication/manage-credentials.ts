import { ForbiddenException } from '@nestjs/common';
import { scopesInclude, type MethodName, type Principal, type Proof } from './principal.js';

/** The limits of a credential that a caller wants to create, change or end. */
export interface CredentialLimits {
  /** Null: no limit but the roles of the account. */
  readonly scopes: readonly string[] | null;
  /** The method of the caller's proof whose expiry and addresses the credential keeps, as the method has checked. */
  readonly keepsRestrictionsOf?: MethodName | undefined;
}

/**
 * Rejects a caller who may not list, create, change or end credentials, sessions, consents and other sign-ins.
 * Every route that does so calls this. A limited caller manages only a credential within its own limits.
 *
 * @param credential absent if the route concerns all credentials of the account
 * @throws ForbiddenException `limited_credential`
 */
export function assertMayManageCredentials(caller: Principal, credential?: CredentialLimits): void {
  if (!isLimited(caller)) return;
  if (credential && isWithinLimits(caller, credential)) return;
  throw limitedCredential();
}

export const limitedCredential = () =>
  new ForbiddenException({
    code: 'limited_credential',
    detail: 'Your credential is limited. It manages only credentials within its own limits.',
  });

/** Whether the caller can do less than its account: a credential that it created could outlive or exceed it. */
const isLimited = ({ scopes, authorizationDetails, proofs }: Principal): boolean =>
  Boolean(scopes ?? authorizationDetails) ||
  proofs.some(({ restricted, client }) => restricted || client !== undefined);

/** No credential can be limited to authorization details or to an OAuth client, so such a caller manages none. */
const isWithinLimits = (
  { scopes, authorizationDetails, proofs }: Principal,
  credential: CredentialLimits,
): boolean =>
  !authorizationDetails &&
  scopesInclude(scopes, credential.scopes ?? undefined) &&
  proofs.every(
    ({ method, restricted, client }) =>
      client === undefined && (!restricted || method === credential.keepsRestrictionsOf),
  );

const RECENT_SIGN_IN_MS = 5 * 60_000;

/**
 * Rejects a caller who has not signed in within the last five minutes.
 * @param isSignIn whether a proof is a sign-in that the route accepts
 * @returns the recent sign-in
 * @throws ForbiddenException `reauthentication_required`
 */
export function assertRecentSignIn({ proofs }: Principal, isSignIn: (proof: Proof) => boolean): Proof {
  const recent = proofs.find(
    (proof) => isSignIn(proof) && Date.now() - proof.at.getTime() < RECENT_SIGN_IN_MS,
  );
  if (recent) return recent;
  throw new ForbiddenException({
    code: 'reauthentication_required',
    detail: 'This requires a sign-in within the last five minutes. Sign in again.',
  });
}
