import { X509Certificate } from 'node:crypto';
import { CertificateAuthorityService } from '../../src/methods/mtls/mtls.certificate-authority.service.js';
import { withCertificate } from '../../src/methods/mtls/mtls.client.js';
import { ClientCertificate } from '../../src/methods/mtls/mtls.entity.js';
import { MtlsGuard } from '../../src/methods/mtls/mtls.guard.js';
import { formatClientCert, spiffeIdOf } from '../../src/methods/mtls/mtls.js';
import {
  issueCertificate,
  createCa,
  newKeyPair,
  newSerialNumber,
  parseCa,
  privateKeyPem,
} from '../../src/methods/mtls/mtls.x509.js';
import { CERTIFICATE_LIFETIME_MS } from '../../src/methods/mtls/mtls.service.js';
import { User } from '../../src/users/user.entity.js';
import type { Contract, Running } from '../method.contract.js';

/** A certificate for bob from another CA, as a Client-Cert header. */
async function foreignClientCert(): Promise<string> {
  const { certificate, privateKey } = await createCa(new Date());
  const names = [spiffeIdOf({ tenantId: 'acme', kind: 'user', id: 'bob' })];
  const pem = await issueCertificate(parseCa(certificate, privateKey), {
    serial: newSerialNumber(),
    publicKey: newKeyPair().publicKey,
    usage: 'clientAuth',
    names,
    notBefore: new Date(),
    notAfter: new Date(Date.now() + CERTIFICATE_LIFETIME_MS),
  });
  return formatClientCert(new X509Certificate(pem));
}

const foreign = await foreignClientCert();
const field = (value: string) => ({ 'Client-Cert': value });

/** Redirects a request to the TLS listener of its server. */
async function overTls(request: Request): Promise<Request> {
  const { origin, pathname, search } = new URL(request.url);
  const { url } = (await (await fetch(`${origin}/mtls`)).json()) as { url: string };
  return new Request(url + pathname + search, request);
}

/** Issues a certificate to a demo account without an HTTP request. */
export async function newCertificate({ db, app }: Pick<Running, 'db' | 'app'>, userId: string) {
  const { publicKey, privateKey } = newKeyPair();
  const authority = app.get(CertificateAuthorityService);
  const account = await db.manager.findOneByOrFail(User, { id: userId });
  const { certificate: cert, ...row } = await authority.issueClientCertificate(
    account,
    publicKey,
    new Date(Date.now() + CERTIFICATE_LIFETIME_MS),
  );
  await db.manager.insert(ClientCertificate, { ...row, userId, name: 'contract', scopes: null });
  return { id: row.id, cert, key: privateKeyPem(privateKey), ca: authority.certificate.toString() };
}

export const contract: Contract = {
  name: 'mtls',
  challenge: 'TLS-Client-Certificate realm="auth-atlas"',
  code: 'invalid_certificate',
  guard: MtlsGuard,
  bound: true,
  env: { TRUST_PROXY: '127.0.0.1' },
  header: 'Client-Cert',
  empty: field(''),
  malformed: [
    field('::'),
    field(':AAAA:'),
    field(foreign.slice(1)),
    field(foreign.slice(1, -1)),
    field(`${foreign};x=1`),
    field(`${foreign}, ${foreign}`),
    field(`:${Buffer.from('-----BEGIN CERTIFICATE-----').toString('base64')}:`),
  ],
  costly: { headers: field(`:${'A'.repeat(8_000)}:`) },
  unknown: field(foreign),
  issue: async (running, userId) => {
    const { id, ...identity } = await newCertificate(running, userId);
    const change = async (changes: Partial<ClientCertificate>) =>
      void (await running.db.manager.update(ClientCertificate, { id }, changes));
    return {
      sign: overTls,
      fetch: withCertificate(identity),
      tls: identity,
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
