/**
 * What a private CA writes, and the one thing it reads: certificates and certificate revocation lists (RFC 5280), and
 * requests for certificates (PKCS #10, RFC 2986). Everything goes in and out as PEM.
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
import { signCrl, type Revoked } from './mtls.crl.js';
import { isStrong } from './mtls.js';

/** A CA that can sign. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** A request that no certificate is issued to. Its message is for the caller. */
export class UnfitRequest extends Error {}

export interface Wanted {
  readonly serial: string;
  readonly publicKey: KeyObject;
  readonly usage: 'clientAuth' | 'serverAuth';
  /** All names it is good for: a URI of a client's, or host names and addresses of a server's. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DIGESTS = ['SHA-256', 'SHA-384', 'SHA-512'];

export const newKeyPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const pemOf = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString();

/** 16 bytes as hexadecimal, 126 of whose bits are random; neither negative nor ever shorter, whoever writes it. */
export function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** A new CA, which issues to clients and servers and to no other CA. */
export async function newAuthority(now: Date): Promise<{ certificate: string; privateKey: string }> {
  const { privateKey } = newKeyPair();
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(now.getUTCFullYear() + 10);
  const publicKey = spkiOf(createPublicKey(privateKey));
  const name = `O=Auth Atlas, CN=Auth Atlas CA ${newSerial().slice(0, 8)}`;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: name,
    issuer: name,
    notBefore: now,
    notAfter,
    publicKey,
    signingKey: await importKey(privateKey),
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), privateKey: pemOf(privateKey) };
}

export const openAuthority = (certificate: string, privateKey: string): Signer => ({
  certificate: new X509Certificate(certificate),
  privateKey: createPrivateKey(privateKey),
});

/** All that the certificate says is `wanted`: nothing of it comes from the caller but the public key. */
export async function issue(signer: Signer, wanted: Wanted): Promise<string> {
  const ca = new x509.X509Certificate(signer.certificate.raw);
  const publicKey = spkiOf(wanted.publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: wanted.serial,
    subject: `O=Auth Atlas, CN=${wanted.serial}`,
    issuer: ca.subjectName,
    notBefore: wanted.notBefore,
    notAfter: wanted.notAfter,
    publicKey,
    signingKey: await importKey(signer.privateKey),
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[wanted.usage]]),
      new x509.SubjectAlternativeNameExtension(wanted.names.map((value) => ({ type: kindOf(value), value }))),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return certificate.toString('pem');
}

/** The list of those that the CA has taken back before their time. */
export async function writeCrl(
  { certificate, privateKey }: Signer,
  revoked: readonly Revoked[],
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
 * The public key that a request asks a certificate for. Its signature shows that whoever asks has the private key. The
 * subject and the extensions that it asks for are not read: the CA says whose certificate it is.
 * @throws UnfitRequest
 */
export async function readRequest(pem: string): Promise<KeyObject> {
  const request = parse(pem);
  const key = request && publicKeyOf(request);
  if (!key) throw new UnfitRequest('This is not a certificate request (PKCS #10) in PEM.');
  if (!isStrong(key))
    throw new UnfitRequest('The key must be RSA with 2048 to 4096 bits, P-256, P-384 or Ed25519.');
  if (!(await isSignedBy(request)))
    throw new UnfitRequest('The request must be signed with its own key, and with SHA-256 or better.');
  return key;
}

function parse(pem: string): x509.Pkcs10CertificateRequest | undefined {
  try {
    return x509.PemConverter.isPem(pem) ? new x509.Pkcs10CertificateRequest(pem) : undefined;
  } catch {
    return undefined;
  }
}

function publicKeyOf(request: x509.Pkcs10CertificateRequest): KeyObject | undefined {
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

async function isSignedBy(request: x509.Pkcs10CertificateRequest): Promise<boolean> {
  try {
    const { name, hash } = request.signatureAlgorithm as Partial<x509.HashedAlgorithm>;
    return (name === 'Ed25519' || DIGESTS.includes(hash?.name ?? '')) && (await request.verify());
  } catch {
    return false;
  }
}

const kindOf = (name: string): x509.GeneralNameType =>
  name.includes('://') ? 'url' : isIP(name) ? 'ip' : 'dns';

const spkiOf = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });

const importKey = (key: KeyObject) =>
  webcrypto.subtle.importKey('pkcs8', key.export({ format: 'der', type: 'pkcs8' }), ES256, false, ['sign']);
