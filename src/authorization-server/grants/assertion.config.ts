import { importJWK, type CryptoKey, type JWK } from 'jose';
import { z } from 'zod';
import { jsonSetting } from '../../config/json.js';
import type { Settings } from '../../config/settings.js';
import { DEMO_ASSERTION_ISSUER } from './assertion.demo.js';
import { SCOPES } from '../../permissions.js';

const jwk = z
  .looseObject({
    kty: z.enum(['EC', 'OKP', 'RSA'], 'must be a public key, as kty EC, OKP or RSA'),
    kid: z.string(),
  })
  .refine((key) => !('d' in key), 'must not hold a private key');

const issuers = z.array(
  z.strictObject({
    /** As in `iss`. */
    issuer: z.url(),
    keys: z.array(jwk).min(1),
    /** Which account each `sub` is. Nobody else gets in. */
    accounts: z.record(z.string().min(1), z.string().min(1)),
    /** What its assertions reach at the most. */
    scopes: z.array(z.enum(SCOPES)).min(1),
  }),
);
const schema = z.object({ OAUTH_ASSERTION_ISSUERS: jsonSetting.pipe(issuers).default([]) });

export type AssertionIssuer = z.output<typeof issuers>[number];

/**
 * Whose assertions are taken for whom, from `OAUTH_ASSERTION_ISSUERS`: a JSON array. The keys stand in it, so nothing is
 * fetched because of what a caller sends.
 *
 * @throws BadSettings
 */
export function assertionIssuers(settings: Settings): ReadonlyMap<string, AssertionIssuer> {
  const { OAUTH_ASSERTION_ISSUERS: listed } = settings.section(schema);
  const demo = settings.demo ? [DEMO_ASSERTION_ISSUER] : [];
  return new Map([...demo, ...listed].map((each) => [each.issuer, each]));
}

export const publicKeyOf = (key: AssertionIssuer['keys'][number], alg: string) =>
  importJWK(key as JWK, alg) as Promise<CryptoKey>;
