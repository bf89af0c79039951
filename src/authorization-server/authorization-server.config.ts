import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerAs } from '@nestjs/config';
import { z } from 'zod';
import { jsonSetting } from '../config/json.js';
import { Settings } from '../config/settings.js';
import { importStrongJwk, isStrongPublicKey } from '../crypto/public-keys.js';
import { SCOPES } from '../permissions.js';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const publicJwk = z
  .looseObject({
    kty: z.enum(['EC', 'OKP', 'RSA'], 'must be a public key, as kty EC, OKP or RSA'),
    kid: z.string(),
  })
  .refine((key) => !('d' in key), 'must not hold a private key')
  .refine(
    (key) => importStrongJwk(key) !== undefined,
    'must be a strong key: RSA from 2048 bits, EC or Ed25519',
  );

const assertionIssuer = z.strictObject({
  /** The `iss` claim of its assertions. */
  issuer: z.url(),
  keys: z.array(publicJwk).min(1),
  /** Account ids by `sub`. Other subjects are rejected. */
  accounts: z.record(z.string().min(1), z.string().min(1)),
  /** The scopes that its assertions can obtain. */
  scopes: z.array(z.enum(SCOPES)).min(1),
});

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');

const schema = z.object({
  OAUTH_CLIENT_CA_FILE: z.string().optional(),
  OAUTH_ASSERTION_ISSUERS: jsonSetting.pipe(z.array(assertionIssuer)).default([]),
  OAUTH_OPEN_REGISTRATION: flag.optional(),
  OAUTH_CLIENT_ID_METADATA_DOCUMENTS: flag.optional(),
  OAUTH_REFRESH_REUSE_SECONDS: z
    .string()
    .regex(/^([1-5]?\d|60)$/, 'must be a number of seconds from 0 to 60')
    .default('0')
    .transform(Number),
});

export type AssertionIssuer = z.output<typeof assertionIssuer>;

export interface AuthorizationServerConfig {
  /** The CAs for clients that connect through a proxy and authenticate by `tls_client_auth`. */
  readonly clientCas: readonly X509Certificate[];
  /** The trusted issuers of JWT bearer assertions (RFC 7523), by `iss`. Their keys are configured, never fetched. */
  readonly assertionIssuers: ReadonlyMap<string, AssertionIssuer>;
  /** Whether clients may register without an initial access token. Off in production by default. */
  readonly openRegistration: boolean;
  /** Whether a `client_id` may be the URL of a Client ID Metadata Document. Off in production by default. */
  readonly clientIdMetadataDocuments: boolean;
  /** The time in which a used refresh token without a DPoP key may be repeated; 0 is off. */
  readonly refreshReuseSeconds: number;
}

/** @throws InvalidSettings, or Error if the CA file cannot be read */
export function readAuthorizationServerConfig(settings: Settings): AuthorizationServerConfig {
  const section = settings.section(schema);
  const { OAUTH_CLIENT_CA_FILE: file, OAUTH_ASSERTION_ISSUERS: configured } = section;
  const isDevelopment = settings.environment !== 'production';
  const certificates = file ? (readFileSync(file, 'utf8').match(PEM_CERTIFICATE) ?? []) : [];
  if (file && !certificates.length) throw new Error(`OAUTH_CLIENT_CA_FILE holds no certificate: ${file}`);
  const clientCas = certificates.map((pem) => new X509Certificate(pem));
  if (!clientCas.every(({ publicKey }) => isStrongPublicKey(publicKey)))
    throw new Error(`OAUTH_CLIENT_CA_FILE holds a certificate with a weak key: ${file}`);
  return {
    clientCas,
    assertionIssuers: new Map(configured.map((each) => [each.issuer, each])),
    openRegistration: section.OAUTH_OPEN_REGISTRATION ?? isDevelopment,
    clientIdMetadataDocuments: section.OAUTH_CLIENT_ID_METADATA_DOCUMENTS ?? isDevelopment,
    refreshReuseSeconds: section.OAUTH_REFRESH_REUSE_SECONDS,
  };
}

export const authorizationServerConfig = registerAs('authorization-server', () =>
  readAuthorizationServerConfig(Settings.from(process.env)),
);
