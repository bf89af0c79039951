/**
 * A time-based one-time password (RFC 6238): server and authenticator app share a secret, and both derive the same six digits from
 * it every 30 seconds.
 *
 *     POST /auth/mfa HTTP/1.1
 *     Content-Type: application/json
 *
 *     { "mfa_token": "…", "factor": "totp", "code": "287082" }
 */
import { Secret, TOTP } from 'otpauth';

const ISSUER = 'Auth Atlas';
/** As long as the output of SHA-1, which RFC 4226 section 4 recommends. */
const SECRET_BYTES = 20;
const PERIOD_SECONDS = 30;
/** The clock of a phone may be off by this many steps (RFC 6238 section 5.2). */
const DRIFT_STEPS = 1;

/** SHA-1 and six digits, because most authenticator apps ignore other parameters. */
const totpOf = (secret: string, label?: string): TOTP =>
  new TOTP({
    secret: Secret.fromBase32(secret),
    algorithm: 'SHA1',
    digits: 6,
    period: PERIOD_SECONDS,
    issuer: ISSUER,
    ...(label !== undefined && { label }),
  });

/** A new secret in base32, as people type it into an app. */
export const newTotpSecret = (): string => new Secret({ size: SECRET_BYTES }).base32;

/** The address that a QR code passes to an authenticator app. It contains the secret. */
export const totpUri = (secret: string, label: string): string => totpOf(secret, label).toString();

/** The code of a moment: the authenticator's side. @param at milliseconds since 1970 */
export const totpCode = (secret: string, at: number): string => totpOf(secret).generate({ timestamp: at });

/**
 * The time step of a code, for the current step and its neighbours.
 * @param code may contain spaces, as apps show it
 * @param at milliseconds since 1970
 * @returns undefined for a wrong code
 */
export function stepOfCode(secret: string, code: string, at: number): number | undefined {
  const token = code.replaceAll(' ', '');
  if (!/^\d{6}$/.test(token)) return undefined;
  const delta = totpOf(secret).validate({ token, timestamp: at, window: DRIFT_STEPS });
  return delta === null ? undefined : Math.floor(at / 1000 / PERIOD_SECONDS) + delta;
}
