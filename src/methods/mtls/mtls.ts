/**
 * Mutual TLS. The client presents a certificate in the TLS handshake and signs the handshake with its private key
 * (RFC 8446 sections 4.4.2 and 4.4.3). HTTP carries no credential:
 *
 *     server: CertificateRequest
 *     client: Certificate, CertificateVerify (a signature over the handshake so far)
 *     client: GET /demo/mtls HTTP/1.1
 *
 * If a proxy ends TLS, it forwards the client's certificate (RFC 9440):
 *
 *     Client-Cert: :MIIBqDCCAU6gAwIBAgIHBTA8GBgz…:
 *
 * The account is named in one place: the only name in subjectAltName, a URI that the CA set
 * (`spiffe://acme.auth-atlas/user/bob`). The subject and its CN are ignored.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { isStrongPublicKey } from '../../crypto/public-keys.js';

/** The fields of a valid client certificate. */
export interface CertificateIdentity {
  /** Hexadecimal, in lower case. */
  readonly serial: string;
  /** SHA-256 of the certificate in DER, hexadecimal. */
  readonly fingerprint: string;
  /** See {@link spiffeIdOf}. */
  readonly spiffeId: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The certificate cannot authenticate a client. The message is for the log. */
export class InvalidCertificate extends Error {}

/** The OID of `id-kp-clientAuth` (RFC 5280 section 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const CURVES = ['prime256v1', 'secp384r1'];
const MAX_RSA_BITS = 4096;
/** Node formats other kinds of names, further names and special characters in other ways, so they do not match. */
const SINGLE_SPIFFE_ID = /^URI:(spiffe:\/\/[\w.%-]+\.auth-atlas\/(?:user|client)\/[\w.%-]+)$/;

/** The SPIFFE ID of an account. It is unique: the parts are percent-encoded. */
export const spiffeIdOf = (account: { tenantId: string; kind: 'user' | 'client'; id: string }) =>
  `spiffe://${encodeURIComponent(account.tenantId)}.auth-atlas/${account.kind}/${encodeURIComponent(account.id)}`;

/** @returns why the certificate is not valid at this time; undefined if it is */
export function validityPeriodFault(
  { notBefore, notAfter }: Pick<CertificateIdentity, 'notBefore' | 'notAfter'>,
  now: Date,
): string | undefined {
  if (now < notBefore) return 'it is not yet valid';
  if (now >= notAfter) return 'it has expired';
  return undefined;
}

/**
 * Verifies everything about a client certificate except its period of validity and its revocation.
 * @param issuer the certificate of the CA. The CA issues directly: there are no intermediate CAs
 * @throws InvalidCertificate
 */
export function verifyCertificate(
  certificate: X509Certificate,
  issuer: X509Certificate,
): CertificateIdentity {
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
    throw new InvalidCertificate('it was issued by another CA');
  if (certificate.ca) throw new InvalidCertificate('it is the certificate of a CA');
  // RFC 5280 accepts a certificate without an extended key usage for every purpose. The CA issues none.
  if (!certificate.keyUsage?.includes(CLIENT_AUTH))
    throw new InvalidCertificate('its extended key usage lacks clientAuth');
  if (!isStrongKey(certificate.publicKey)) throw new InvalidCertificate('its key is too weak');
  const [, spiffeId] = SINGLE_SPIFFE_ID.exec(certificate.subjectAltName ?? '') ?? [];
  if (!spiffeId) throw new InvalidCertificate('its subjectAltName is not a single SPIFFE ID');
  return {
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint: certificateFingerprint(certificate),
    spiffeId,
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
  };
}

export const certificateFingerprint = (certificate: X509Certificate) =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();

/** RSA of 2048 to 4096 bits (larger keys only cost time), P-256, P-384 or Ed25519. */
export function isStrongKey(key: KeyObject): boolean {
  const { modulusLength = 0, namedCurve = CURVES[0]! } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa-pss' || modulusLength > MAX_RSA_BITS) return false;
  return CURVES.includes(namedCurve) && isStrongPublicKey(key);
}

/** Formats a certificate as a `Client-Cert` header (RFC 9440 section 2.2). */
export const formatClientCert = (certificate: X509Certificate) => `:${certificate.raw.toString('base64')}:`;
