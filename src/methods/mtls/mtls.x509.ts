/**
 * X.509 for a private CA: creates certificates and certificate revocation lists (RFC 5280), and reads certificate
 * signing requests (CSR, PKCS #10, RFC 2986). All of them are PEM.
 */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import {
  X509Certificate,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  webcrypto,
  type KeyObject,
} from 'node:crypto';
import { isIP } from 'node:net';
import { signCrl, type RevokedCertificate } from './mtls.crl.js';
import { isStrongKey } from './mtls.js';

/** The CA's certificate and its private key. */
export interface CaKeyPair {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** The CSR is rejected. The message is for the caller. */
export class InvalidCsr extends Error {}

export interface CertificateFields {
  /** Hexadecimal. */
  readonly serial: string;
  readonly publicKey: KeyObject;
  readonly usage: 'clientAuth' | 'serverAuth';
  /** The subjectAltName: one URI of a client, or the host names and IP addresses of a server. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CA_LIFETIME_YEARS = 10;
const CSR_HASHES = ['SHA-256', 'SHA-384', 'SHA-512'];

export const newKeyPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const privateKeyPem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString();

/** 16 bytes in hexadecimal, 126 bits of them random. The first bits are 01, so that it is positive and 16 bytes long. */
export function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** Creates a CA whose path length constraint is 0: it issues no certificates to other CAs. */
export async function createCa(notBefore: Date): Promise<{ certificate: string; privateKey: string }> {
  const { privateKey } = newKeyPair();
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notBefore.getUTCFullYear() + CA_LIFETIME_YEARS);
  const publicKey = spkiDer(createPublicKey(privateKey));
  const name = `O=Auth Atlas, CN=Auth Atlas CA ${newSerialNumber().slice(0, 8)}`;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: name,
    issuer: name,
    notBefore,
    notAfter,
    publicKey,
    signingKey: await importSigningKey(privateKey),
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), privateKey: privateKeyPem(privateKey) };
}

export const parseCa = (certificate: string, privateKey: string): CaKeyPair => ({
  certificate: new X509Certificate(certificate),
  privateKey: createPrivateKey(privateKey),
});

/** Issues a certificate. Only `publicKey` may come from a CSR; the CA chooses all other fields. */
export async function issueCertificate(ca: CaKeyPair, fields: CertificateFields): Promise<string> {
  const issuer = new x509.X509Certificate(ca.certificate.raw);
  const publicKey = spkiDer(fields.publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: fields.serial,
    subject: `O=Auth Atlas, CN=${fields.serial}`,
    issuer: issuer.subjectName,
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
    publicKey,
    signingKey: await importSigningKey(ca.privateKey),
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[fields.usage]]),
      new x509.SubjectAlternativeNameExtension(
        fields.names.map((value) => ({ type: generalNameType(value), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return certificate.toString('pem');
}

/** Creates a CRL (RFC 5280 section 5) in PEM. */
export async function createCrl(
  { certificate, privateKey }: CaKeyPair,
  revoked: readonly RevokedCertificate[],
  thisUpdate: Date,
  nextUpdate: Date,
): Promise<string> {
  const ca = new x509.X509Certificate(certificate.raw);
  const { rawData } = await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey);
  const issuer = {
    name: Buffer.from(ca.subjectName.toArrayBuffer()),
    authorityKeyIdentifier: Buffer.from(rawData),
    key: privateKey,
  };
  const list = Uint8Array.from(signCrl(issuer, revoked, thisUpdate, nextUpdate));
  return x509.PemConverter.encode(list, 'X509 CRL');
}

/**
 * Reads the public key of a CSR. Its signature proves possession of the private key (RFC 2986 section 3). The requested
 * subject and extensions are ignored, because the CA names the account.
 * @throws InvalidCsr
 */
export async function publicKeyFromCsr(pem: string): Promise<KeyObject> {
  const request = parseCsr(pem);
  const key = request && importPublicKey(request);
  if (!key) throw new InvalidCsr('The csr must be a certificate signing request (PKCS #10) in PEM.');
  if (!isStrongKey(key))
    throw new InvalidCsr('The key must be RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519.');
  if (!(await hasValidSignature(request)))
    throw new InvalidCsr('The csr must be signed with its own key, using SHA-256 or stronger.');
  return key;
}

function parseCsr(pem: string): x509.Pkcs10CertificateRequest | undefined {
  try {
    return x509.PemConverter.isPem(pem) ? new x509.Pkcs10CertificateRequest(pem) : undefined;
  } catch {
    return undefined;
  }
}

function importPublicKey(request: x509.Pkcs10CertificateRequest): KeyObject | undefined {
  try {
    return createPublicKey({
      key: Buffer.from(request.publicKey.rawData),
      format: 'der',
      type: 'spki',
    });
  } catch {
    return undefined;
  }
}

async function hasValidSignature(request: x509.Pkcs10CertificateRequest): Promise<boolean> {
  try {
    const { name, hash } = request.signatureAlgorithm as Partial<x509.HashedAlgorithm>;
    return (name === 'Ed25519' || CSR_HASHES.includes(hash?.name ?? '')) && (await request.verify());
  } catch {
    return false;
  }
}

const generalNameType = (name: string): x509.GeneralNameType =>
  name.includes('://') ? 'url' : isIP(name) ? 'ip' : 'dns';

const spkiDer = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });

const importSigningKey = (key: KeyObject) =>
  webcrypto.subtle.importKey('pkcs8', key.export({ format: 'der', type: 'pkcs8' }), ES256, false, ['sign']);
