import { ForbiddenException } from '@nestjs/common';
import { reachedAcrs } from './factors.js';
import { assertMayManageCredentials, isRecent, type Principal, type Proof } from './principal.js';
import type { Authenticator } from './authenticator.js';
import { Unauthenticated, headersOf, type Challenge } from './challenge.js';

/** The sign-in that would permit a denied action: at most `maxAge` seconds ago, and of this context class. */
export interface StepUp {
  /** Absent: any. */
  readonly acr?: string;
  readonly maxAge: number;
}

/** The scopes or the sign-in that would permit a denied action. */
export type Requirement = { readonly scopes: readonly string[] } | StepUp;

/** 403 for a caller whom another credential, or a more recent sign-in, would permit the action. */
export class InsufficientCredential extends ForbiddenException {
  constructor(
    readonly detail: string,
    readonly requirement: Requirement,
    code = 'forbidden',
  ) {
    super({ code, detail });
  }
}

/** 403 with the missing scopes (RFC 6750 section 3.1). */
export class InsufficientScope extends ForbiddenException {
  readonly headers: Readonly<Record<string, string | string[]>>;

  constructor(challenges: readonly Challenge[]) {
    super({
      code: 'insufficient_scope',
      detail: "The credential's scopes do not allow this.",
    });
    this.headers = headersOf(challenges);
  }
}

/**
 * Maps an insufficient credential to its method's challenge (RFC 6750 section 3.1, RFC 9470 section 3).
 * @returns any other error, and that of a method without such a challenge, as it is
 */
export function withRequirement(
  authenticator: Authenticator,
  error: unknown,
  caller: Principal | undefined,
): unknown {
  if (!(error instanceof InsufficientCredential)) return error;
  const proof = caller?.proofs.find(({ method }) => authenticator.strategyOf(method).namesRequirement);
  if (!proof) return error;
  const { requirement: need, detail } = error;
  if ('scopes' in need) {
    const params = { error: 'insufficient_scope', scope: need.scopes.join(' ') };
    return new InsufficientScope(authenticator.challengesOf(proof.method, params));
  }
  const code = 'insufficient_user_authentication';
  const params = {
    error: code,
    ...(need.acr !== undefined && { acr_values: need.acr }),
    max_age: String(need.maxAge),
  };
  return new Unauthenticated(authenticator.challengesOf(proof.method, params), code, detail);
}

const RECENT_SIGN_IN_SECONDS = 5 * 60;

/**
 * Rejects a caller who has not signed in or stepped up within the last five minutes.
 * @param isSignIn whether a proof is a sign-in that the route accepts
 * @param acrs one of these context classes is required; empty: any
 * @returns the recent sign-in
 * @throws InsufficientCredential `reauthentication_required`
 */
export function assertRecentSignIn(
  { proofs }: Principal,
  isSignIn: (proof: Proof) => boolean,
  acrs: readonly string[] = [],
): Proof {
  const recent = proofs.find(
    (proof) =>
      isSignIn(proof) &&
      isRecent(proof, RECENT_SIGN_IN_SECONDS) &&
      (!acrs.length || reachedAcrs(proof.amr).some((acr) => acrs.includes(acr))),
  );
  if (recent) return recent;
  throw new InsufficientCredential(
    'This requires a sign-in within the last five minutes. Sign in again, or step up.',
    { maxAge: RECENT_SIGN_IN_SECONDS, ...(acrs.length && { acr: acrs.join(' ') }) },
    'reauthentication_required',
  );
}

/** Whether the caller has signed in or stepped up within the last five minutes. */
export const isRecentlySignedIn = ({ proofs }: Principal): boolean =>
  proofs.some((proof) => proof.signIn && isRecent(proof, RECENT_SIGN_IN_SECONDS));

/**
 * Rejects a caller who may not add, replace or remove a way to sign in: a stolen key or an old session must not.
 * @throws ForbiddenException `limited_credential`
 * @throws InsufficientCredential `reauthentication_required`
 */
export function assertMayChangeFactors(caller: Principal): void {
  assertMayManageCredentials(caller);
  assertRecentSignIn(caller, ({ signIn }) => Boolean(signIn));
}
