import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { GUESSABLE, isGuessable } from '../../config/secret-strength.js';
import { InvalidSettings, Settings } from '../../config/settings.js';

const schema = z.object({
  JWT_HS256_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'must have at least 32 bytes (RFC 7518 section 3.2)')
    .optional(),
});

/**
 * Access tokens are signed with ES256 and the keys in the database, or with HS256 if `JWT_HS256_SECRET` is set. HS256 is
 * for learning and for a single server: every party that can verify such a token can also create one.
 *
 * @throws InvalidSettings for a secret that is too short
 */
export function readJwtConfig(settings: Settings): { hs256Secret: string | undefined } {
  const { JWT_HS256_SECRET: hs256Secret } = settings.section(schema);
  if (settings.production && hs256Secret && hs256Secret === settings.appSecret)
    throw new InvalidSettings(['JWT_HS256_SECRET must differ from APP_SECRET.']);
  if (settings.production && hs256Secret && isGuessable(hs256Secret))
    throw new InvalidSettings([`JWT_HS256_SECRET ${GUESSABLE}.`]);
  return { hs256Secret };
}

export const jwtConfig = registerAs('jwt', () => readJwtConfig(Settings.from(process.env)));
