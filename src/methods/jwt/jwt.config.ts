import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { GUESSABLE, isGuessable } from '../../config/secret-strength.js';
import { InvalidSettings, Settings } from '../../config/settings.js';

const schema = z.object({
  JWT_HS256_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'must have at least 32 bytes (RFC 7518 section 3.2)')
    .optional(),
  JWT_REFRESH_REUSE_SECONDS: z
    .string()
    .regex(/^([1-5]?\d|60)$/, 'must be a number of seconds from 0 to 60')
    .default('0')
    .transform(Number),
});

export interface JwtConfig {
  readonly hs256Secret: string | undefined;
  /** The time in which a used refresh token may be repeated; 0 is off. */
  readonly refreshReuseSeconds: number;
}

/**
 * Access tokens are signed with ES256 and the keys in the database, or with HS256 if `JWT_HS256_SECRET` is set. HS256 is
 * for learning and for a single server: every party that can verify such a token can also create one.
 *
 * @throws InvalidSettings for a secret that is too short, or for more than 60 seconds of reuse
 */
export function readJwtConfig(settings: Settings): JwtConfig {
  const { JWT_HS256_SECRET: hs256Secret, JWT_REFRESH_REUSE_SECONDS } = settings.section(schema);
  if (settings.production && hs256Secret && hs256Secret === settings.appSecret)
    throw new InvalidSettings(['JWT_HS256_SECRET must differ from APP_SECRET.']);
  if (settings.production && hs256Secret && isGuessable(hs256Secret))
    throw new InvalidSettings([`JWT_HS256_SECRET ${GUESSABLE}.`]);
  return { hs256Secret, refreshReuseSeconds: JWT_REFRESH_REUSE_SECONDS };
}

export const jwtConfig = registerAs('jwt', () => readJwtConfig(Settings.from(process.env)));
