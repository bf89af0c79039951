import { ForbiddenException } from '@nestjs/common';
import type { Authenticator } from './authenticator.js';
import { Unauthenticated, headersOf, type Challenge } from './challenge.js';
import type { Principal } from './principal.js';

/** The scopes, or the sign-in with this `acr` at most `maxAge` seconds ago, that would permit a denied action. */
export type Requirement =
  { readonly scopes: readonly string[] } | { readonly acr: string; readonly maxAge: number };

/** 403 for a caller whom another credential would permit the action. */
export class InsufficientCredential extends ForbiddenException {
  constructor(
    readonly detail: string,
    readonly requirement: Requirement,
  ) {
    super({ code: 'forbidden', detail });
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
  const params = { error: code, acr_values: need.acr, max_age: String(need.maxAge) };
  return new Unauthenticated(authenticator.challengesOf(proof.method, params), code, detail);
}
