import type { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Client, Configuration, JWK, KoaContextWithOIDC } from 'oidc-provider';
// @ts-expect-error -- it has no types
import KeyStore from 'oidc-provider/lib/helpers/keystore.js';
import { tlsCertificate } from '../../authentication/client-certificate.js';
import type { Settings } from '../../config/settings.js';
import { importStrongJwk, isStrongPublicKey } from '../../crypto/public-keys.js';
import { errors } from '../provider/oidc-provider.js';
import { WRONG_AUDIENCE } from '../provider/provider-events.service.js';
import { authRequestOfKoa, hasValidCertificate } from '../provider/provider-request.js';
import { isFapiClient } from './client-metadata.js';

/** oidc-provider's key store. That of a client has the members that the types mark as optional. */
interface KeyStorePrototype {
  readonly client?: Client;
  readonly jwksUri?: string;
  freshUntil?: number;
  add: (this: KeyStorePrototype, jwk: JWK) => void;
  selectForVerify: (this: KeyStorePrototype, options: object) => JWK[];
}
const { prototype } = KeyStore as { prototype: KeyStorePrototype };
const { add, selectForVerify } = prototype;

/**
 * Ignores weak keys, because oidc-provider has no hook for the keys that it reads from a client's `jwks_uri`. The shared
 * secrets of clients are generated here.
 */
prototype.add = function addStrong(jwk): void {
  if (jwk.kty === 'oct' || importStrongJwk(jwk)) add.call(this, jwk);
};

/** Anyone can send an unknown `kid` in the name of a client. So each process fetches a key set at most this often. */
const MAX_FETCHES = 2;
const FETCH_WINDOW_MS = 10_000;
const fetches = new LRUCache<string, { count: number }>({ max: 10_000, ttl: FETCH_WINDOW_MS });

/**
 * Fetches a client's `jwks_uri` again for an unknown `kid`: the client may have rotated its keys. oidc-provider would do
 * so only after its copy expires. It fetches a set that is not fresh.
 */
prototype.selectForVerify = function selectOrRefresh(options): JWK[] {
  const keys = selectForVerify.call(this, options);
  if (keys.length || !this.client || !this.jwksUri) return keys;
  const { clientId } = this.client;
  const recent = fetches.get(clientId) ?? { count: 0 };
  if (recent.count === 0) fetches.set(clientId, recent);
  this.freshUntil = recent.count++ < MAX_FETCHES ? 0 : Date.now() / 1000 + 1;
  return keys;
};

/** Below the retention of oidc-provider's replay detection, which is one hour. */
const MAX_ASSERTION_SECONDS = 600;
const MAX_REQUEST_OBJECT_SECONDS = 3_600;

/** Client authentication (OpenID Connect Core 1.0 section 9, RFC 7523, RFC 8705). */
export const clientAuthentication: Configuration = {
  clientAuthMethods: [
    'none',
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'tls_client_auth',
    'self_signed_tls_client_auth',
  ],
  /**
   * Accepts the issuer as the only audience. A malicious server could claim our token endpoint as its own and so
   * obtain an assertion for that URL (FAPI 2.0 Security Profile section 5.3.2.1). Clients that are registered so may also
   * use the token endpoint and the endpoint of the request (OpenID Connect Core 1.0 section 9, CIBA Core 1.0 section 7.1).
   */
  assertJwtClientAuthClaimsAndHeader({ oidc }, { aud, exp }, _header, client) {
    const accepted = new Set([oidc.issuer, oidc.urlFor('token'), oidc.urlFor(oidc.route)]);
    const isRestricted = client['client_assertion_aud_restricted_to_issuer'] !== false;
    if (isRestricted ? aud !== oidc.issuer : ![aud].flat().every((each) => accepted.has(each as string)))
      throw new errors.InvalidClientAuth(WRONG_AUDIENCE);
    if (typeof exp !== 'number' || exp > Date.now() / 1000 + MAX_ASSERTION_SECONDS)
      throw new errors.InvalidClientAuth('the assertion is valid for too long');
  },
};

/**
 * Signed authorization requests (RFC 9101). Parameters outside of the request object are ignored. FAPI 2.0 Message Signing
 * (section 5.3.1) requires `nbf`, and CIBA Core 1.0 (section 7.1.1) also `iat` and `jti`.
 */
export const requestObjects: NonNullable<Configuration['features']>['requestObjects'] = {
  enabled: true,
  assertJwtClaimsAndHeader({ oidc }, { aud, exp, nbf, iat, jti }, _header, client) {
    const invalid = (reason: string) => new errors.InvalidRequestObject(reason);
    const isCiba = oidc.route === 'backchannel_authentication';
    if (aud === undefined) throw invalid('the request object has no audience (aud)');
    if (typeof exp !== 'number') throw invalid('the request object has no expiry (exp)');
    if ((isCiba || isFapiClient(client)) && typeof nbf !== 'number')
      throw invalid('the request object has no start (nbf)');
    if (isCiba && typeof iat !== 'number') throw invalid('the request object has no time of issue (iat)');
    if (isCiba && (typeof jti !== 'string' || !jti)) throw invalid('the request object has no id (jti)');
    const start = [nbf, iat].find((time) => typeof time === 'number') ?? Date.now() / 1000;
    // It has not expired, so it did not start more than an hour ago either.
    if (exp - start > MAX_REQUEST_OBJECT_SECONDS)
      throw invalid('the request object is valid for more than an hour (exp)');
  },
};

/** Client authentication by certificate, and certificate-bound access tokens (RFC 8705). */
export function mutualTls(
  settings: Settings,
  clientCas: readonly X509Certificate[],
): NonNullable<Configuration['features']>['mTLS'] {
  const certificateOf = (ctx: KoaContextWithOIDC): X509Certificate | undefined => {
    const certificate = tlsCertificate(authRequestOfKoa(ctx), (address) => settings.trusts(address));
    return certificate && isStrongPublicKey(certificate.publicKey) ? certificate : undefined;
  };
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => certificateOf(ctx)!,
    certificateAuthorized: (ctx) => {
      if (hasValidCertificate(ctx)) return true;
      const certificate = certificateOf(ctx);
      return certificate !== undefined && isIssuedBy(clientCas, certificate, new Date());
    },
    certificateSubjectMatches: (ctx, property, expected) => {
      const certificate = certificateOf(ctx);
      return certificate !== undefined && subjectMatches(certificate, property, expected);
    },
  };
}

/** The endpoints that a client calls itself. Browsers call the others. */
const MTLS_ENDPOINTS = {
  token_endpoint: '/oidc/token',
  introspection_endpoint: '/oidc/token/introspection',
  revocation_endpoint: '/oidc/token/revocation',
  pushed_authorization_request_endpoint: '/oidc/request',
  device_authorization_endpoint: '/oidc/device/auth',
  backchannel_authentication_endpoint: '/oidc/backchannel',
  userinfo_endpoint: '/oidc/me',
  registration_endpoint: '/oidc/reg',
};

/**
 * Adds `mtls_endpoint_aliases` (RFC 8705 section 5) to the server metadata.
 * @param tlsOrigin of the listener that requests client certificates, if there is one
 */
export function mtlsEndpointAliases(tlsOrigin: string | undefined): Configuration['discovery'] {
  if (!tlsOrigin) return {};
  const aliases = Object.entries(MTLS_ENDPOINTS).map(([name, path]) => [name, tlsOrigin + path]);
  return { mtls_endpoint_aliases: Object.fromEntries(aliases) as Record<string, string> };
}

/** Whether one of the CAs issued the certificate directly and both are valid now. The TLS proxy must check revocation. */
function isIssuedBy(cas: readonly X509Certificate[], certificate: X509Certificate, now: Date): boolean {
  const isInValidityPeriod = (each: X509Certificate) =>
    new Date(each.validFrom) <= now && now < new Date(each.validTo);
  return (
    !certificate.ca &&
    isInValidityPeriod(certificate) &&
    cas.some(
      (ca) =>
        ca.ca && isInValidityPeriod(ca) && certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
    )
  );
}

/** Node's prefixes in `subjectAltName`, by client metadata (RFC 8705 section 2.1.2). */
const SAN_PREFIXES: Readonly<Record<string, string>> = {
  tls_client_auth_san_dns: 'DNS:',
  tls_client_auth_san_uri: 'URI:',
  tls_client_auth_san_ip: 'IP Address:',
  tls_client_auth_san_email: 'email:',
};
/** One attribute of a subject without characters that RFC 4514 escapes. */
const UNESCAPED_ATTRIBUTE = /^[A-Za-z]+=[^\\",+<>;=\n]+$/;

/**
 * Whether a certificate has the name that the client's metadata requires.
 * @param property the metadata: `tls_client_auth_subject_dn` (RFC 4514) or one of the `tls_client_auth_san_*`
 */
export function subjectMatches(certificate: X509Certificate, property: string, expected: string): boolean {
  if (property === 'tls_client_auth_subject_dn') {
    const attributes = certificate.subject.split('\n');
    return (
      attributes.every((attribute) => UNESCAPED_ATTRIBUTE.test(attribute)) &&
      attributes.toReversed().join(',') === expected
    );
  }
  const prefix = SAN_PREFIXES[property];
  const names = certificate.subjectAltName ?? '';
  // Node quotes a name that could be parsed as several names. Such a certificate is rejected.
  return prefix !== undefined && !names.includes('"') && names.split(', ').includes(prefix + expected);
}
