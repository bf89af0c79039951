/**
 * Mutual TLS. The caller shows a certificate in the TLS handshake and signs the handshake with its key (RFC 8446,
 * sections 4.4.2 and 4.4.3). HTTP carries no credential at all:
 *
 *     server: CertificateRequest (of this CA, please)
 *     client: Certificate, CertificateVerify (a signature over all that was said on this connection)
 *     client: GET /demo/mtls HTTP/1.1
 *
 * Where a proxy ends TLS, it hands on the certificate that it was shown (RFC 9440):
 *
 *     Client-Cert: :MIIBqDCCAU6gAwIBAgIHBTA8GBgz…:
 *
 * Whose certificate it is stands in one place: the only name in its subjectAltName, a URI that the CA has chosen
 * (`spiffe://acme.auth-atlas/user/bob`). The subject and its CN say nothing here.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';

/** What is told of a certificate that is fit to sign in with, and never changes. */
export interface Client {
  /** Hexadecimal, in lower case. */
  readonly serial: string;
  /** SHA-256 of the whole certificate, hexadecimal. */
  readonly fingerprint: string;
  /** See {@link nameOf}. */
  readonly name: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A certificate that nobody signs in with. Its message is for the log. */
export class UnfitCertificate extends Error {}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const CURVES = ['prime256v1', 'secp384r1'];
/** Node writes any other kind of name, any second one, and any character that is not plain in another way. */
const ONE_NAME = /^URI:(spiffe:\/\/[\w.%-]+\.auth-atlas\/(?:user|client)\/[\w.%-]+)$/;

/** The name of an account in its certificates, after the manner of SPIFFE. No two accounts share one. */
export const nameOf = (account: { tenantId: string; kind: 'user' | 'client'; id: string }) =>
  `spiffe://${encodeURIComponent(account.tenantId)}.auth-atlas/${account.kind}/${encodeURIComponent(account.id)}`;

/**
 * Reads a certificate that a caller has shown.
 * @param issuer the CA's own: it issues directly, so a chain has these two and no third
 * @throws UnfitCertificate
 */
export function readCertificate(certificate: X509Certificate, issuer: X509Certificate): Client {
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
    throw new UnfitCertificate('another CA has issued it');
  if (certificate.ca) throw new UnfitCertificate('it is the certificate of a CA');
  // TLS libraries let a certificate pass that does not say what it is for.
  if (!certificate.keyUsage?.includes(CLIENT_AUTH)) throw new UnfitCertificate('it is not for clients');
  if (!isStrong(certificate.publicKey)) throw new UnfitCertificate('its key is too weak');
  const [, name] = ONE_NAME.exec(certificate.subjectAltName ?? '') ?? [];
  if (!name) throw new UnfitCertificate('its names are not one of ours alone');
  return {
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint: fingerprintOf(certificate),
    name,
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
  };
}

export const fingerprintOf = (certificate: X509Certificate) =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();

/** RSA from 2048 bits on (and up to 4096: more only costs us), P-256, P-384, Ed25519 (FIPS 186-5). */
export function isStrong(key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa')
    return (
      modulusLength >= 2048 &&
      modulusLength <= 4096 &&
      publicExponent > 2n ** 16n &&
      publicExponent < 2n ** 256n
    );
  return (
    key.asymmetricKeyType === 'ed25519' || (key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve))
  );
}

/** A certificate as a proxy hands it on. */
export const formatClientCert = (certificate: X509Certificate) => `:${certificate.raw.toString('base64')}:`;
