import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { KeyObject, createHash, webcrypto } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A self-signed certificate. */
export interface SelfSigned {
  readonly der: Buffer;
  /** `x5t#S256` (RFC 8705 section 3.1). */
  readonly thumbprint: string;
}

async function certificateOf(keys: CryptoKeyPair): Promise<SelfSigned> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=a client', keys, signingAlgorithm: ALGORITHM },
    webcrypto as Crypto,
  );
  const der = Buffer.from(certificate.rawData);
  return { der, thumbprint: createHash('sha256').update(der).digest('base64url') };
}

const newKeys = () =>
  webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']) as Promise<CryptoKeyPair>;

/** A certificate, a second one with the same key, and one with another key. */
export async function selfSigned(): Promise<{
  certificate: SelfSigned;
  renewed: SelfSigned;
  other: SelfSigned;
}> {
  const keys = await newKeys();
  const [certificate, renewed] = [await certificateOf(keys), await certificateOf(keys)];
  return { certificate, renewed, other: await certificateOf(await newKeys()) };
}

/** The header by which a proxy forwards a certificate (RFC 9440). */
export const clientCert = ({ der }: SelfSigned) => ({ 'Client-Cert': `:${der.toString('base64')}:` });

/** The certificate and key of a TLS server, in PEM. */
export async function serverIdentity(): Promise<{ cert: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=a server', keys, signingAlgorithm: ALGORITHM },
    webcrypto as Crypto,
  );
  const key = KeyObject.from(keys.privateKey);
  return {
    cert: certificate.toString('pem'),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
