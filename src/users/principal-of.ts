import type { BadCredential } from '../authentication/challenge.js';
import type { Principal, Proof } from '../authentication/principal.js';
import type { User } from './user.entity.js';

/**
 * The principal of an account as it stands now. Every method ends here, so none can forget to ask whether the
 * account is disabled.
 *
 * @param refused makes the method's own refusal, so that a disabled account looks like any other wrong credential
 * @throws BadCredential where the account is disabled
 */
export function principalOf(
  user: User,
  proof: Proof,
  refused: (reason: string) => BadCredential,
  scopes?: readonly string[] | null,
): Principal {
  if (user.disabledAt) throw refused(`the account ${user.id} is disabled`).ofAccount(user);
  return {
    id: user.id,
    kind: user.kind,
    tenantId: user.tenantId,
    roles: user.roles,
    ...(scopes && { scopes }),
    proofs: [proof],
  };
}
