import { BadCredential, type Principal, type Proof } from '../auth/index.js';
import type { User } from './user.entity.js';

/**
 * The principal of an account as it stands now. Every method ends here, so none can forget to ask whether the
 * account is disabled.
 *
 * @param code the method's own code, so that a disabled account looks like any other wrong credential
 * @throws BadCredential where the account is disabled
 */
export function principalOf(
  user: User,
  proof: Proof,
  code: string,
  scopes?: readonly string[] | null,
): Principal {
  if (user.disabledAt) throw new BadCredential(code, `the account ${user.id} is disabled`);
  return {
    id: user.id,
    kind: user.kind,
    tenantId: user.tenantId,
    roles: user.roles,
    ...(scopes && { scopes }),
    proofs: [proof],
  };
}
