import { recoveryCodeProof } from '../../src/methods/recovery-code/recovery-code.client.js';
import { RecoveryCodeService } from '../../src/methods/recovery-code/recovery-code.service.js';
import { User } from '../../src/users/user.entity.js';
import type { Running } from '../method.contract.js';
import type { Ceremony } from '../support/contracts.js';
import { mfaTicket, proveSecondFactor, signedIn } from '../support/second-step.js';

/** Creates the codes of an account that has a second factor. */
export async function createCodes(
  { app, db }: Pick<Running, 'app' | 'db'>,
  userId: string,
): Promise<string[]> {
  await db.manager.update(User, { id: userId }, { mfaSince: new Date() });
  return app.get(RecoveryCodeService, { strict: false }).create(signedIn(userId));
}

export const ceremony: Ceremony = async (running, userId, issuer) => {
  const [code = ''] = await createCodes(running, userId);
  const ticket = await mfaTicket(running, userId, issuer);
  return proveSecondFactor(running.origin, ticket, recoveryCodeProof(code));
};
