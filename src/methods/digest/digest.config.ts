import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { InvalidSettings, Settings } from '../../config/settings.js';
import type { DigestAlgorithm, Qop } from './digest.js';

/** Part of every H(A1). After a change, every account must enable Digest again. */
export const REALM = 'auth-atlas';

const flag = z.enum(['true', 'false'], 'must be true or false').default('false');
const schema = z.object({
  DIGEST_OFFER_SHA_512_256: flag,
  DIGEST_OFFER_AUTH_INT: flag,
  DIGEST_REQUIRE_AUTH_INT: flag,
  DIGEST_LEGACY_MD5: flag,
});

/** The offered algorithms and qops, in order of preference. */
export interface DigestConfig {
  readonly algorithms: readonly DigestAlgorithm[];
  readonly qops: readonly Qop[];
}

/**
 * Common clients read only the last challenge, or only `qop="auth"`. So there is one challenge, with SHA-256 and `auth`, unless
 * a setting adds more.
 *
 * @throws InvalidSettings if MD5 is enabled in production
 */
export function readDigestConfig(settings: Settings): DigestConfig {
  const flags = settings.section(schema);
  const isOn = (name: keyof typeof flags) => flags[name] === 'true';
  if (isOn('DIGEST_LEGACY_MD5') && settings.production)
    throw new InvalidSettings(['DIGEST_LEGACY_MD5 may not be true in production.']);
  const algorithms: DigestAlgorithm[] = ['SHA-256'];
  if (isOn('DIGEST_OFFER_SHA_512_256')) algorithms.push('SHA-512-256');
  if (isOn('DIGEST_LEGACY_MD5')) algorithms.push('MD5');
  if (isOn('DIGEST_REQUIRE_AUTH_INT')) return { algorithms, qops: ['auth-int'] };
  return { algorithms, qops: isOn('DIGEST_OFFER_AUTH_INT') ? ['auth', 'auth-int'] : ['auth'] };
}

export const digestConfig = registerAs('digest', () => readDigestConfig(Settings.from(process.env)));
