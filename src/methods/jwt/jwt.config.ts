import { z } from 'zod';
import { InvalidSettings, type Settings } from '../../config/settings.js';

const schema = z.object({
  JWT_HS256_SECRET: z
    .string()
    .refine(
      (secret) => Buffer.byteLength(secret) >= 32,
      'must have at least 32 bytes: HS256 is as strong as its key (RFC 7518, section 3.2)',
    )
    .optional(),
});

/**
 * How access tokens are signed: ES256 with the keys in the database, or HS256 where `JWT_HS256_SECRET` is set. That
 * is for learning and for one server alone: whoever can check such a token can make one.
 *
 * @throws BadSettings for a secret that is too short
 */
export function jwtConfig(settings: Settings): { hs256Secret: string | undefined } {
  const { JWT_HS256_SECRET: hs256Secret } = settings.section(schema);
  if (settings.production && hs256Secret && hs256Secret === settings.appSecret)
    throw new InvalidSettings(['JWT_HS256_SECRET must be another secret than APP_SECRET.']);
  return { hs256Secret };
}
