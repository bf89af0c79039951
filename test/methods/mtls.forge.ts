import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { X509Certificate, createHash, webcrypto, type KeyObject } from 'node:crypto';
import { Settings } from '../../src/config/settings.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { CERTIFICATE_LIFETIME_MS } from '../../src/methods/mtls/mtls.service.js';
import { CertificateAuthority, ClientCertificate } from '../../src/methods/mtls/mtls.entity.js';
import { formatClientCert, spiffeIdOf } from '../../src/methods/mtls/mtls.js';
import {
  newKeyPair,
  newSerialNumber,
  parseCa,
  privateKeyPem,
  type CaKeyPair,
} from '../../src/methods/mtls/mtls.x509.js';
import type { Running } from '../method.contract.js';

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const BOB_SPIFFE_ID = spiffeIdOf({ tenantId: 'acme', kind: 'user', id: 'bob' });

/** Differences from a valid certificate of bob. */
export interface CertificateOverrides {
  readonly subject?: string;
  readonly serial?: string;
  readonly keys?: { publicKey: KeyObject; privateKey: KeyObject };
  readonly isCa?: boolean;
  readonly usages?: readonly (keyof typeof x509.ExtendedKeyUsage)[];
  readonly names?: x509.JsonGeneralNames;
  readonly from?: Date;
  readonly until?: Date;
  /** Adds an extension of this many bytes. */
  readonly padding?: number;
}

/** A certificate in PEM and as a Client-Cert header, with its key. */
export interface ForgedCertificate {
  readonly id: string;
  readonly cert: string;
  readonly key: string;
  readonly field: string;
  readonly signer: CaKeyPair;
}

/** Reads the key of the application's own CA, as an attacker with the database and APP_SECRET could. */
export async function readCaKeyPair({ app, db }: Pick<Running, 'app' | 'db'>): Promise<CaKeyPair> {
  const [row] = await db.manager.find(CertificateAuthority);
  return parseCa(
    row!.certificate,
    new SecretBox(app.get(Settings), 'mtls authority').open(row!.sealed, 'mtls'),
  );
}

/** Creates any certificate, also an invalid one. Without a `signer` it is self-signed. */
export async function forgeCertificate(
  signer: CaKeyPair | undefined,
  overrides: CertificateOverrides = {},
): Promise<ForgedCertificate> {
  const { publicKey, privateKey } = overrides.keys ?? newKeyPair();
  const issuer = signer && new x509.X509Certificate(signer.certificate.raw);
  const subject = overrides.subject ?? 'CN=bob';
  const id = overrides.serial ?? newSerialNumber();
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    (signer?.privateKey ?? privateKey).export({ format: 'der', type: 'pkcs8' }),
    ES256,
    false,
    ['sign'],
  );
  const { usages = ['clientAuth'], names = [{ type: 'url', value: BOB_SPIFFE_ID }] } = overrides;
  const created = await x509.X509CertificateGenerator.create({
    serialNumber: id,
    subject,
    issuer: issuer?.subjectName ?? subject,
    notBefore: overrides.from ?? new Date(Date.now() - 60_000),
    notAfter: overrides.until ?? new Date(Date.now() + CERTIFICATE_LIFETIME_MS),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    signingKey,
    signingAlgorithm: ES256,
    extensions: [
      new x509.BasicConstraintsExtension(overrides.isCa ?? false, undefined, true),
      ...(usages.length
        ? [new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage]))]
        : []),
      ...(names.length ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ...(overrides.padding ? [new x509.Extension('1.2.3.4', false, new Uint8Array(overrides.padding))] : []),
    ],
  });
  const certificate = new X509Certificate(Buffer.from(created.rawData));
  return {
    id,
    cert: certificate.toString(),
    key: privateKeyPem(privateKey),
    field: formatClientCert(certificate),
    signer: { certificate, privateKey },
  };
}

/** Stores a certificate as bob's, so that only the certificate itself can be the reason for a rejection. */
export async function storeCertificate(
  { db }: Pick<Running, 'db'>,
  { id, cert }: ForgedCertificate,
  userId = 'bob',
) {
  await db.manager.insert(ClientCertificate, {
    id,
    userId,
    name: 'test',
    fingerprint: createHash('sha256').update(new X509Certificate(cert).raw).digest('hex'),
    scopes: null,
    createdAt: new Date(),
    expiresAt: new Date(Date.now() + CERTIFICATE_LIFETIME_MS),
  });
}
