import { TotpSecret } from '../../src/methods/totp/totp.entity.js';
import { totpProof } from '../../src/methods/totp/totp.client.js';
import { TotpService } from '../../src/methods/totp/totp.service.js';
import { totpCode } from '../../src/methods/totp/totp.js';
import type { Running } from '../method.contract.js';
import type { Ceremony } from '../support/contracts.js';
import { mfaTicket, proveSecondFactor, signedIn } from '../support/second-step.js';

/** Enrols an app for an account. @returns its secret; all codes are unused */
export async function enrolApp({ app, db }: Pick<Running, 'app' | 'db'>, userId: string): Promise<string> {
  const totp = app.get(TotpService, { strict: false });
  const { secret } = await totp.enrol(signedIn(userId));
  await totp.confirm(signedIn(userId), totpCode(secret, Date.now()));
  await db.manager.update(TotpSecret, { userId }, { lastStep: 0 });
  return secret;
}

export const ceremony: Ceremony = async (running, userId, issuer) => {
  const secret = await enrolApp(running, userId);
  return proveSecondFactor(running.origin, await mfaTicket(running, userId, issuer), totpProof(secret));
};
