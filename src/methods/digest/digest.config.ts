import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { InvalidSettings, Settings } from '../../config/settings.js';
import type { DigestAlgorithm, Qop } from './digest.js';

/** Part of every H(A1). After a change, every account must enable Digest again. */
export const REALM = 'auth-atlas';

const flag = z.enum(['true', 'false'], 'must be true or false').default('false');
const schema = z.object({ DIGEST_LEGACY_MD5: flag, DIGEST_REQUIRE_AUTH_INT: flag });

/** The offered algorithms and qops, in order of preference. */
export interface DigestConfig {
  readonly algorithms: readonly DigestAlgorithm[];
  readonly qops: readonly Qop[];
}

/**
 * `DIGEST_LEGACY_MD5` adds MD5 for devices that support nothing else. `DIGEST_REQUIRE_AUTH_INT` rejects requests whose body
 * is not covered.
 *
 * @throws InvalidSettings if MD5 is enabled in production
 */
export function readDigestConfig(settings: Settings): DigestConfig {
  const { DIGEST_LEGACY_MD5: legacy, DIGEST_REQUIRE_AUTH_INT: requireAuthInt } = settings.section(schema);
  if (legacy === 'true' && settings.production)
    throw new InvalidSettings(['DIGEST_LEGACY_MD5 may not be true in production.']);
  return {
    algorithms: legacy === 'true' ? ['SHA-256', 'SHA-512-256', 'MD5'] : ['SHA-256', 'SHA-512-256'],
    qops: requireAuthInt === 'true' ? ['auth-int'] : ['auth', 'auth-int'],
  };
}

export const digestConfig = registerAs('digest', () => readDigestConfig(Settings.from(process.env)));
