import { totpCode } from './totp.js';

/** The proof of an authenticator app, for `/auth/mfa` and `/auth/step-up`. @param secret in base32, of the enrolment */
export const totpProof = (secret: string, at = Date.now()) => ({
  factor: 'totp',
  code: totpCode(secret, at),
});
