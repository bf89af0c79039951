import { z } from 'zod';
import type { Actor } from '../authentication/principal.js';
import { documentAccess } from './document-access.js';

/** Seconds by which the clock of whoever issued a token may be ahead of this one's. */
const SKEW = 5;

const seconds = z.int().nonnegative();
const text = z.string().min(1).max(255);
/** SHA-256 in base64url: of a key (RFC 7638), of a certificate (RFC 8705). */
const thumbprint = z.string().regex(/^[\w-]{43}$/);

/** Who acts, and for whom in turn, so many times. Other claims about them are for those who asked for the token. */
const actor = (deep: number): z.ZodType<Actor> =>
  z.object({ sub: text, act: deep ? actor(deep - 1).optional() : z.undefined().optional() });

const schema = z.object({
  sub: text,
  client_id: text.optional(),
  scope: z.string().max(4096).optional(),
  iat: seconds.optional(),
  nbf: seconds.optional(),
  exp: seconds,
  auth_time: seconds.optional(),
  acr: text.optional(),
  amr: z.array(text).max(20).optional(),
  act: actor(4).optional(),
  // What is bound to something that is not known here is bound, and so no bearer's.
  cnf: z
    .strictObject({ jkt: thumbprint.optional(), 'x5t#S256': thumbprint.optional() })
    .refine((cnf) => Object.values(cnf).some(Boolean))
    .optional(),
  authorization_details: z.array(documentAccess).max(50).optional(),
});

/** What a token says, whoever has issued it and in whichever form: RFC 9068, RFC 7662, RFC 8693, RFC 9396. */
export type Claims = z.output<typeof schema>;

/** @returns a sentence for the log where they are not of the form that they should have */
export function readClaims(claims: unknown): Claims | string {
  const read = schema.safeParse(claims);
  return read.success ? read.data : `its ${read.error.issues[0]?.path.join('.') || 'claims'}`;
}

/**
 * Why a token is of no use now, or undefined.
 * @param now milliseconds since 1970
 */
export function validityFault(
  { iat = 0, nbf = 0, exp }: Pick<Claims, 'iat' | 'nbf' | 'exp'>,
  now: number,
): string | undefined {
  const second = Math.floor(now / 1000);
  if (exp <= second) return 'expired';
  return Math.max(iat, nbf) > second + SKEW ? 'not yet good' : undefined;
}
