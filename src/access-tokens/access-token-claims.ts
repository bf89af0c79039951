import { z } from 'zod';
import type { Actor } from '../authentication/principal.js';
import { authorizationDetailSchema } from '../permissions.js';

/** The issuer's clock may be ahead of ours by this many seconds. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** The longest delegation chain: one current and four earlier actors. */
const MAX_NESTED_ACTORS = 4;

/** A time up to the year 9999: a later one is not a valid `Date`. */
const seconds = z.int().nonnegative().max(253_402_300_799);
const text = z.string().min(1).max(255);
/** SHA-256 in base64url, of a key (RFC 7638) or a certificate (RFC 8705). */
const thumbprint = z.string().regex(/^[\w-]{43}$/);

/** The current actor and, nested, the earlier ones (RFC 8693 section 4.1). Drops all claims but `sub` and `act`. */
const actor = (nested: number): z.ZodType<Actor> =>
  z.object({ sub: text, act: nested ? actor(nested - 1).optional() : z.undefined().optional() });

const schema = z.object({
  sub: text.optional(),
  client_id: text.optional(),
  scope: z.string().max(4096).optional(),
  iat: seconds.optional(),
  nbf: seconds.optional(),
  exp: seconds,
  auth_time: seconds.optional(),
  acr: text.optional(),
  amr: z.array(text).max(20).optional(),
  act: actor(MAX_NESTED_ACTORS).optional(),
  // A token with an unknown `cnf` member is still bound; reject it as a bearer token.
  cnf: z
    .strictObject({ jkt: thumbprint.optional(), 'x5t#S256': thumbprint.optional() })
    .refine((cnf) => Object.values(cnf).some(Boolean))
    .optional(),
  authorization_details: z.array(authorizationDetailSchema).max(50).optional(),
});

const jwtSchema = schema.required({ sub: true });
/** `sub` is optional (RFC 7662 section 2.2): a client's own token may name the client only. */
const introspectionSchema = schema
  .extend({
    token_type: z
      .string()
      .toLowerCase()
      .pipe(z.enum(['bearer', 'dpop']))
      .optional(),
  })
  .refine(({ sub, client_id }) => sub ?? client_id, { path: ['sub'] })
  .refine(({ token_type, cnf }) => token_type !== 'dpop' || cnf?.jkt, { path: ['token_type'] });

/** The claims of a JWT (RFC 9068) or of an introspection response (RFC 7662), with those of RFC 8693 and RFC 9396. */
export type AccessTokenClaims = z.output<typeof schema>;

/** @returns the claims of a JWT, or a reason for the log if a claim is missing or malformed */
export const parseClaims = (claims: unknown) => parse(jwtSchema, claims);

/** @returns the claims of an introspection response, or a reason for the log if a claim is missing or malformed */
export const parseIntrospection = (response: unknown) => parse(introspectionSchema, response);

function parse<Claims>(claimsSchema: z.ZodType<Claims>, claims: unknown): Claims | string {
  const read = claimsSchema.safeParse(claims);
  if (read.success) return read.data;
  return `invalid claim: ${read.error.issues[0]?.path.join('.') || 'not an object'}`;
}

/**
 * @param now milliseconds since 1970
 * @returns a reason for the log if the token is expired, not yet valid, or from a sign-in in the future, which would stay fresh
 */
export function validityFault(
  { iat = 0, nbf = 0, auth_time = 0, exp }: Pick<AccessTokenClaims, 'iat' | 'nbf' | 'auth_time' | 'exp'>,
  now: number,
): string | undefined {
  const second = Math.floor(now / 1000);
  if (exp <= second) return 'expired';
  return Math.max(iat, nbf, auth_time) > second + CLOCK_TOLERANCE_SECONDS ? 'not yet valid' : undefined;
}
