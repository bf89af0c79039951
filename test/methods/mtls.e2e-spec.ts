import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Public } from '../../src/authentication/plan.js';
import { Settings } from '../../src/config/settings.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { CERTIFICATE_LIFETIME_MS } from '../../src/methods/mtls/mtls.service.js';
import { CertificateAuthorityService } from '../../src/methods/mtls/mtls.certificate-authority.service.js';
import { withCertificate } from '../../src/methods/mtls/mtls.client.js';
import { CertificateAuthority, ClientCertificate } from '../../src/methods/mtls/mtls.entity.js';
import { MtlsServerService } from '../../src/methods/mtls/mtls.server.service.js';
import { MtlsStrategy } from '../../src/methods/mtls/mtls.strategy.js';
import { MtlsCleanup } from '../../src/methods/mtls/mtls.cleanup.js';
import { newSerialNumber } from '../../src/methods/mtls/mtls.x509.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { contract, newCertificate } from './mtls.contract.js';
import {
  BOB_SPIFFE_ID,
  forgeCertificate,
  storeCertificate,
  readCaKeyPair,
  type CertificateOverrides,
} from './mtls.forge.js';
import { TlsConnection } from './mtls.wire.js';

satisfiesTheContract(contract);

/** Numbers of TLS extensions (RFC 8446 section 4.2). */
const SIGNATURE_ALGORITHMS = 13;
const DAY = 24 * 60 * 60_000;
const POP = expect.objectContaining({ method: 'mtls', amr: ['pop'], bound: true }) as unknown;

/** A route that reports when it is called and responds when the test resolves `response`. */
const slow = { called: () => {}, response: Promise.resolve() };

@Controller()
class SlowController {
  constructor(private readonly db: DataSource) {}

  @Get('slow')
  @Public()
  async get() {
    slow.called();
    await slow.response;
    const { id } = await this.db.manager.findOneByOrFail(User, { id: 'bob' });
    return { id };
  }
}

const folder = mkdtempSync(join(tmpdir(), 'atlas-mtls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text = '') => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' }).toString();

/** Creates a key and a certificate signing request with OpenSSL. */
function newCsr(kind: readonly string[] = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ...more: string[]) {
  const key = join(folder, 'client.key');
  const args = ['req', '-new', '-newkey', ...kind, '-nodes', '-keyout', key, '-subj', '/CN=ignored'];
  return { csr: openssl(...args, ...more), key: openssl('pkey', '-in', key) };
}

/** The extensions of the TLS 1.3 CertificateRequest in the output of `openssl s_client -msg`, by type (RFC 8446 section 4.3.2). */
function extensionsOfCertificateRequest(output: string): Map<number, Buffer> {
  const [, dump = ''] = /CertificateRequest\n((?: {4}[\da-f ]+\n)+)/.exec(output) ?? [];
  // The message has a header of 4 bytes, an empty context and the length of the extensions.
  let rest = Buffer.from(dump.replace(/\s/g, ''), 'hex').subarray(4 + 1 + 2);
  const extensions = new Map<number, Buffer>();
  while (rest.length) {
    const end = 4 + rest.readUInt16BE(2);
    extensions.set(rest.readUInt16BE(0), rest.subarray(4, end));
    rest = rest.subarray(end);
  }
  return extensions;
}

const portOf = async ({ origin }: Booted) =>
  Number(new URL((await client(origin).get('/mtls')).body.url as string).port);

describe('mtls', () => {
  let booted: Booted;
  let port: number;
  let log = '';
  const logTo = { write: (line: string) => void (log += line) };
  beforeAll(async () => {
    booted = await boot({ logTo });
    port = await portOf(booted);
  });
  afterAll(() => booted.close());

  /** A client that is signed in as bob by another method, without scopes. */
  const bob = () => client(booted.origin, as({ id: 'bob', roles: ['editor'] }));
  const ca = () => booted.app.get(CertificateAuthorityService).certificate.toString();
  const open = (options: ConnectionOptions = {}) => TlsConnection.open(port, { ca: ca(), ...options });
  const issue = async (body: object = {}, who = bob()) => {
    const { csr, key } = newCsr();
    const response = await who.post('/certificates', { name: 'test', csr, ...body });
    expect(response.status).toBe(201);
    return { id: response.body.id as string, cert: response.body.certificate as string, key };
  };
  const update = (id: string, changes: Partial<ClientCertificate>) =>
    booted.db.manager.update(ClientCertificate, { id }, changes);
  /** Sends one request on a new connection. Returns undefined if the server closes the connection. */
  const getWith = async (identity: ConnectionOptions, path = '/demo/mtls', ...headers: string[]) => {
    const wire = await open(identity).catch((error: NodeJS.ErrnoException) => {
      // In TLS 1.2 the server may close the connection during the handshake.
      if (error.code !== 'ECONNRESET') throw error;
    });
    const response = await wire?.get(path, ...headers);
    wire?.close();
    return response && { status: response.status, ...(response.body.code && { code: response.body.code }) };
  };
  const REJECTED = { status: 401, code: 'invalid_certificate' };

  it('publishes its URL, its CA and its revocation list', async () => {
    const { get } = client(booted.origin);
    const { body } = await get('/mtls');
    expect(body).toEqual({ url: `https://localhost:${port}`, ca: '/mtls/ca.pem', crl: '/mtls/crl.pem' });
    expect((await get(body.ca)).body).toBe(ca());
    const crl = await get(body.crl);
    expect(crl.headers.get('content-type')).toMatch(/^application\/x-pem-file/);
    const files = [file('ca.pem', ca()), file('crl.pem', crl.body)];
    expect(openssl('crl', '-in', files[1]!, '-CAfile', files[0]!, '-noout', '-text')).toMatch(/CRL Number/);
  });

  it('accepts a certificate that was issued for a signing request', async () => {
    const { csr, key } = newCsr();
    const { status, body } = await bob().post('/certificates', {
      name: 'laptop',
      csr,
      scopes: ['documents:read'],
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ name: 'laptop', scopes: ['documents:read'], lastUsedAt: null });
    const send = withCertificate({ cert: body.certificate, key, ca: ca() });
    const url = `https://localhost:${port}`;
    const me = await send(new Request(`${url}/demo/mtls`));
    expect(await me.json()).toMatchObject({ id: 'bob', scopes: ['documents:read'], proofs: [POP] });
    const init = { method: 'POST', body: '{"title":"no"}', headers: { 'Content-Type': 'application/json' } };
    expect((await send(new Request(`${url}/documents`, init))).status).toBe(403);
    const { items } = (await bob().get('/certificates')).body;
    expect(items).toContainEqual(expect.objectContaining({ id: body.id, name: 'laptop' }));
  });

  it.each(['tls1_2', 'tls1_3'])('%s: requests a certificate of any CA', async (version) => {
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, `-${version}`, '-msg'];
    const output = await new Promise<string>((resolve) => {
      const child = execFile('openssl', args, (_, stdout) => resolve(stdout));
      child.stdin?.end();
    });
    expect(output).toContain('CertificateRequest');
    expect(output).toContain('No client certificate CA names sent');
    // Java rejects an empty list of CAs in TLS 1.3, so the whole extension is absent.
    if (version === 'tls1_3')
      expect([...extensionsOfCertificateRequest(output).keys()]).toEqual([SIGNATURE_ALGORITHMS]);
  });

  it.each([
    ['P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['Ed25519', ['ed25519']],
    ['RSA of 2048 bits', ['rsa:2048']],
  ])('issues a certificate for a key of the type %s', async (_, kind) => {
    const { csr, key } = newCsr(kind);
    const { body } = await bob().post('/certificates', { name: 'test', csr });
    expect(await getWith({ cert: body.certificate, key })).toEqual({ status: 200 });
  });

  it('accepts other methods on a TLS connection without a certificate', async () => {
    const wire = await open();
    expect(
      (await wire.get('/me', 'Authorization: Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU='))?.body,
    ).toMatchObject({ id: 'bob' });
    wire.close();
  });

  it('is ambient: an explicit credential takes precedence', async () => {
    const identity = await issue();
    const wire = await open(identity);
    const header = Object.entries(as({ id: 'carol' })).map(([name, value]) => `${name}: ${value}`);
    expect((await wire.get('/me', ...header))?.body).toMatchObject({ id: 'carol' });
    expect((await wire.get('/me'))?.body).toMatchObject({ id: 'bob', proofs: [POP] });
    wire.close();
  });

  it('reports the time of the handshake as the time of proof', async () => {
    const wire = await open(await issue());
    const at = async () => (await wire.get('/demo/mtls'))?.body.proofs?.[0].at;
    const first = await at();
    expect(first).toMatch(/^20\d\d-/);
    expect(await at()).toBe(first);
    wire.close();
  });

  it('issues certificates for 90 days, or for less on request', async () => {
    const within = (expiresAt: Date) =>
      bob().post('/certificates', { name: 'x', csr: newCsr().csr, expiresAt: expiresAt.toISOString() });
    const { body: longest } = await bob().post('/certificates', { name: 'x', csr: newCsr().csr });
    expect(Date.parse(longest.expiresAt) - Date.now()).toBeGreaterThan(CERTIFICATE_LIFETIME_MS - 60_000);
    const tomorrow = new Date(Math.floor((Date.now() + DAY) / 1000) * 1000);
    const { body: short } = await within(new Date(tomorrow.getTime() + 999));
    expect(short.expiresAt).toBe(tomorrow.toISOString());
    expect(new Date(new X509Certificate(short.certificate).validTo)).toEqual(tomorrow);
    const { status, body } = await within(new Date(Date.now() + CERTIFICATE_LIFETIME_MS + DAY));
    expect([status, body.errors]).toEqual([
      422,
      [{ field: 'expiresAt', message: expect.stringContaining('within 90 days') }],
    ]);
  });

  it('stores when it was last used', async () => {
    const { id, ...identity } = await issue();
    await getWith(identity);
    await booted.app.get(LastUsed).flush();
    const row = await booted.db.manager.findOneByOrFail(ClientCertificate, { id });
    expect(row.lastUsedAt).toBeInstanceOf(Date);
  });

  it('records issuing and revocation in the audit log', async () => {
    const { id } = await issue();
    await bob().send('DELETE', `/certificates/${id}`);
    const events = await booted.db.manager.find(AuditEvent, {
      where: { target: `certificate:${id}` },
      order: { seq: 'ASC' },
    });
    expect(events.map(({ event }) => event)).toEqual(['authn_token_created', 'authn_token_revoked']);
  });

  it('deletes certificates a day after they expire', async () => {
    const [over, expired] = [await issue(), await issue()];
    await update(over.id, { expiresAt: new Date(Date.now() - DAY - 1000) });
    await update(expired.id, { expiresAt: new Date(Date.now() - 1000) });
    await booted.app.get(MtlsCleanup).cleanUp();
    const exists = ({ id }: { id: string }) => booted.db.manager.existsBy(ClientCertificate, { id });
    expect([await exists(over), await exists(expired)]).toEqual([false, true]);
  });

  it('renews the server certificate after half its lifetime and keeps open connections', async () => {
    const own = await boot();
    const ownPort = await portOf(own);
    // A certificate that is renewed with a future clock is not valid yet, so this client does not verify it.
    const opened: TlsConnection[] = [];
    for (const days of [0, 3, 4]) {
      await own.app.get(MtlsServerService).refresh(Date.now() + days * DAY);
      opened.push(await TlsConnection.open(ownPort, { rejectUnauthorized: false }));
    }
    const serials = opened.map(({ socket }) => socket.getPeerX509Certificate()!.serialNumber);
    expect(serials.map((serial) => serials.indexOf(serial))).toEqual([0, 0, 2]);
    for (const each of opened) expect(await each.get('/health/live')).toMatchObject({ status: 200 });
    await own.close();
  });

  it('finishes a response that is in progress when the application closes', async () => {
    const own = await boot({ controllers: [SlowController] });
    const ownPort = await portOf(own);
    const wire = await TlsConnection.open(ownPort, {
      ca: own.app.get(CertificateAuthorityService).certificate.toString(),
    });
    let respond = () => {};
    slow.response = new Promise((resolve) => (respond = resolve));
    const called = new Promise<void>((resolve) => (slow.called = resolve));
    const response = wire.get('/slow');
    await called;
    const closing = own.close();
    await once(own.app.getHttpServer() as Server, 'close');
    // Give code that does not wait for the response the time to finish.
    for (let i = 0; i < 100; i++) await setImmediate();
    await expect(TlsConnection.open(ownPort, {})).rejects.toThrow('ECONNREFUSED');
    respond();
    expect(await response).toMatchObject({ status: 200, body: { id: 'bob' } });
    await closing;
  });

  describe('the CA', () => {
    it('is created once if two processes start at the same time', async () => {
      const { db, app } = booted;
      const [before] = await db.manager.find(CertificateAuthority);
      await db.manager.clear(CertificateAuthority);
      const both = [
        new CertificateAuthorityService(db, app.get(Settings)),
        new CertificateAuthorityService(db, app.get(Settings)),
      ];
      await Promise.all(both.map((each) => each.load()));
      expect(both[0]!.certificate.raw).toEqual(both[1]!.certificate.raw);
      expect(both[0]!.certificate.toString()).not.toBe(before!.certificate);
      await db.manager.clear(CertificateAuthority);
      await db.manager.insert(CertificateAuthority, before!);
    });

    it('stores its key encrypted and encrypts it again while APP_SECRET is being replaced', async () => {
      const { db } = booted;
      const [before] = await db.manager.find(CertificateAuthority);
      expect(JSON.stringify(before)).not.toContain('PRIVATE KEY');
      const [old, next] = [booted.app.get(Settings).appSecret, 'another-secret-of-enough-characters'];
      const start = (env: Record<string, string>) =>
        new CertificateAuthorityService(db, Settings.from(env)).load();
      await start({ APP_SECRET: next, APP_SECRET_PREVIOUS: old });
      await start({ APP_SECRET: next });
      await expect(start({ APP_SECRET: old })).rejects.toThrow('no longer set');
      await db.manager.update(CertificateAuthority, { name: 'mtls' }, { sealed: before!.sealed });
    });
  });

  describe('a server certificate from files', () => {
    const serverCertificate = async (subject: string) => {
      const { cert, key } = await forgeCertificate(undefined, {
        subject,
        usages: ['serverAuth'],
        names: [{ type: 'dns', value: 'localhost' }],
      });
      return { cert, key };
    };

    it('is read again when it changes; an invalid pair is logged and ignored', async () => {
      const [first, second] = [await serverCertificate('CN=first'), await serverCertificate('CN=second')];
      let lines = '';
      const own = await boot({
        env: { TLS_CERT_FILE: file('own.crt', first.cert), TLS_KEY_FILE: file('own.key', first.key) },
        logTo: { write: (line) => void (lines += line) },
      });
      const server = own.app.get(MtlsServerService);
      const ownPort = await portOf(own);
      const servedSubject = async () => {
        const wire = await TlsConnection.open(ownPort, { rejectUnauthorized: false });
        const { subject } = wire.socket.getPeerX509Certificate()!;
        wire.close();
        return subject;
      };
      expect(await servedSubject()).toBe('CN=first');
      file('own.crt', second.cert);
      await server.refresh();
      expect(await servedSubject()).toBe('CN=first');
      expect(lines).toMatch(/TLS_CERT_FILE and TLS_KEY_FILE do not hold a certificate and its private key/);
      expect(lines).not.toContain('PRIVATE');
      file('own.key', second.key);
      await server.refresh();
      expect(await servedSubject()).toBe('CN=second');
      await own.close();
    });

    it('does not start with a certificate whose key is too weak', async () => {
      const [cert, key] = [file('weak.crt', ''), file('weak.key', '')];
      const exponent3 = ['-newkey', 'rsa:2048', '-pkeyopt', 'rsa_keygen_pubexp:3', '-nodes'];
      openssl('req', '-x509', ...exponent3, '-subj', '/CN=localhost', '-keyout', key, '-out', cert);
      await expect(boot({ env: { TLS_CERT_FILE: cert, TLS_KEY_FILE: key }, logTo })).rejects.toThrow(
        /^TLS_CERT_FILE and TLS_KEY_FILE do not hold .*: the key of the certificate is too weak$/,
      );
    });

    it.each([
      ['only one of the two files', { TLS_CERT_FILE: '/a.pem' }, /^- TLS_KEY_FILE must be set together/m],
      ['missing files', { TLS_CERT_FILE: '/a', TLS_KEY_FILE: '/b' }, /^TLS_CERT_FILE and .* ENOENT/],
      ['a port that is not a number', { TLS_PORT: '70000' }, /TLS_PORT must be a port number/],
    ])('%s: prevents the start and names the setting', async (_, env, reason) => {
      await expect(boot({ env, logTo })).rejects.toThrow(reason);
    });

    it('a port in use prevents the start', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port: taken } = other.address() as AddressInfo;
      await expect(boot({ env: { TLS_PORT: String(taken) }, logTo })).rejects.toThrow(
        `address already in use 127.0.0.1:${taken}`,
      );
      other.close();
    });
  });

  describe('attacks', () => {
    it('closes the connection for a certificate of another CA with the same name', async () => {
      const ours = booted.app.get(CertificateAuthorityService).certificate;
      const other = await forgeCertificate(undefined, {
        subject: ours.subject.replaceAll('\n', ', '),
        serial: ours.serialNumber.toLowerCase(),
        isCa: true,
      });
      const identity = await forgeCertificate(other.signer);
      await storeCertificate(booted, identity);
      expect(new X509Certificate(identity.cert).issuer).toBe(ours.subject);
      log = '';
      expect(await getWith(identity)).toBeUndefined();
      expect(log).toContain('client certificate rejected');
      expect(log).not.toContain('/demo/mtls');
    });

    it('rejects a self-signed certificate with 401 and keeps the connection', async () => {
      const caName = booted.app.get(CertificateAuthorityService).certificate.subject.replaceAll('\n', ', ');
      for (const overrides of [
        {},
        { subject: caName },
        { subject: caName, isCa: true },
        { until: new Date(Date.now() - DAY), from: new Date(Date.now() - 2 * DAY) },
      ]) {
        const identity = await forgeCertificate(undefined, overrides);
        await storeCertificate(booted, identity);
        expect(await getWith(identity)).toEqual(REJECTED);
      }
    });

    it('responds 401 with the challenge if there is no certificate', async () => {
      const wire = await open();
      const response = await wire.get('/demo/mtls');
      expect(response).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
      expect(response?.head).toMatch(/^www-authenticate: TLS-Client-Certificate realm="auth-atlas"\r$/im);
      wire.close();
    });

    it.each<[string, CertificateOverrides]>([
      ['that is expired', { from: new Date(Date.now() - 2 * DAY), until: new Date(Date.now() - DAY) }],
      ['that is not yet valid', { from: new Date(Date.now() + DAY) }],
      ['for servers only', { usages: ['serverAuth'] }],
      ['without an extended key usage', { usages: [] }],
      ['of a CA', { isCa: true }],
    ])('closes the connection for a certificate %s', async (_, overrides) => {
      const identity = await forgeCertificate(await readCaKeyPair(booted), overrides);
      await storeCertificate(booted, identity);
      expect(await getWith(identity)).toBeUndefined();
    });

    it('closes the connection for a certificate while the revocation list is older than a day', async () => {
      const [identity, revoked] = [await issue(), await issue()];
      const server = booted.app.get(MtlsServerService);
      await update(revoked.id, { revokedAt: new Date() });
      await server.refresh(Date.now() - DAY);
      expect(await getWith(identity)).toBeUndefined();
      await server.refresh();
      expect(await getWith(identity)).toEqual({ status: 200 });
    });

    it('rejects every certificate after the CA has expired', async () => {
      const authority = booted.app.get(CertificateAuthorityService);
      const in11Years = new Date(Date.now() + 11 * 366 * DAY);
      const { cert } = await forgeCertificate(await readCaKeyPair(booted), { from: in11Years });
      const verify = () => authority.verify(new X509Certificate(cert), in11Years);
      expect(verify).toThrow('the CA is not valid at this time');
    });

    it.each(['TLSv1.2', 'TLSv1.3'] as const)(
      '%s: does not resume a session after the revocation',
      async (version) => {
        const { id, ...identity } = await issue();
        const options = { ...identity, minVersion: version, maxVersion: version };
        const sessions: Buffer[] = [];
        const first = await open(options);
        first.socket.on('session', (session) => sessions.push(session));
        expect(await first.get('/demo/mtls')).toMatchObject({ status: 200 });
        sessions.push(first.socket.getSession() ?? Buffer.alloc(0));
        first.close();
        for (const session of sessions) {
          const again = await open({ ...options, session });
          expect(again.socket.isSessionReused()).toBe(false);
          expect(await again.get('/demo/mtls')).toMatchObject({ status: 200 });
          again.close();
        }
        await bob().send('DELETE', `/certificates/${id}`);
        for (const session of sessions) expect(await getWith({ ...options, session })).toBeUndefined();
        expect(await getWith(options)).toBeUndefined();
      },
    );

    it('rejects the next request of an open connection after the revocation', async () => {
      const { id, ...identity } = await issue();
      const wire = await open(identity);
      expect(await wire.get('/demo/mtls')).toMatchObject({ status: 200 });
      expect((await bob().send('DELETE', `/certificates/${id}`)).status).toBe(204);
      expect(await wire.get('/demo/mtls')).toMatchObject({
        status: 401,
        body: { code: 'invalid_certificate' },
      });
      wire.close();
    });

    it('rejects requests at once, and connections after a refresh, if another process revoked the certificate', async () => {
      const { id, ...identity } = await issue();
      await update(id, { revokedAt: new Date() });
      expect(await getWith(identity)).toEqual(REJECTED);
      await booted.app.get(MtlsServerService).refresh();
      expect(await getWith(identity)).toBeUndefined();
      const list = file('crl.pem', (await client(booted.origin).get('/mtls/crl.pem')).body);
      expect(openssl('crl', '-in', list, '-noout', '-text')).toContain(id.toUpperCase());
    });

    it('keeps the revocation list while the database is unavailable', async () => {
      const { id, ...identity } = await issue();
      const server = booted.app.get(MtlsServerService);
      await bob().send('DELETE', `/certificates/${id}`);
      await booted.db.query('ALTER TABLE client_certificates RENAME TO client_certificates_away');
      await server.refresh();
      expect(await getWith(identity)).toBeUndefined();
      await booted.db.query('ALTER TABLE client_certificates_away RENAME TO client_certificates');
      const next = await issue();
      await update(next.id, { revokedAt: new Date() });
      await server.refresh();
      expect(await getWith(next)).toBeUndefined();
    });

    it('keeps a revoked certificate in the revocation list if its expiry cannot be decoded', async () => {
      const { id } = await issue();
      const server = booted.app.get(MtlsServerService);
      await bob().send('DELETE', `/certificates/${id}`);
      const list = async () =>
        openssl(
          ...['crl', '-noout', '-text', '-in'],
          file('crl.pem', (await client(booted.origin).get('/mtls/crl.pem')).body),
        );
      const { driver } = booted.db;
      const set = (value: unknown) =>
        booted.db.query(
          `UPDATE client_certificates SET "expiresAt" = ${driver.createParameter('value', 0)} WHERE id = ${driver.createParameter('id', 1)}`,
          [value, id],
        );
      const expiresAt = '2999-12-31 00:00:00.000';
      await set(process.env['DATABASE_URL'] ? '-infinity' : '');
      // Another one is revoked, so a new list would be signed.
      const other = await issue();
      await update(other.id, { revokedAt: new Date() });
      await server.refresh();
      expect(await list()).toContain(id.toUpperCase());
      await set(expiresAt);
      await server.refresh();
      expect(await list()).toContain(other.id.toUpperCase());
    });

    it('ignores the subject and the extensions of a signing request', async () => {
      const alice = BOB_SPIFFE_ID.replace('bob', 'alice');
      const names = `subjectAltName=URI:${alice},email:alice@acme.test,DNS:localhost`;
      const { csr } = newCsr(
        undefined,
        '-subj',
        '/CN=alice/O=acme',
        '-addext',
        names,
        '-addext',
        'basicConstraints=CA:TRUE',
      );
      const { body } = await bob().post('/certificates', { name: 'spoof', csr });
      const certificate = new X509Certificate(body.certificate);
      expect(certificate.subjectAltName).toBe(`URI:${BOB_SPIFFE_ID}`);
      expect(certificate.subject).toBe(`O=Auth Atlas\nCN=${body.id}`);
      expect([certificate.ca, certificate.keyUsage]).toEqual([false, ['1.3.6.1.5.5.7.3.2']]);
    });

    it('rejects a certificate of an intermediate CA', async () => {
      const intermediate = await forgeCertificate(await readCaKeyPair(booted), {
        subject: 'CN=intermediate',
        isCa: true,
      });
      const good = await issue();
      const forged = await forgeCertificate(intermediate.signer, { serial: good.id });
      const cert = forged.cert + intermediate.cert;
      expect(await getWith({ cert, key: forged.key })).toBeUndefined();
      expect(await getWith(good)).toEqual({ status: 200 });
    });

    it('ignores Client-Cert and similar headers from an untrusted peer', async () => {
      const { field, cert } = await forgeCertificate(await readCaKeyPair(booted));
      const text = encodeURIComponent(cert);
      for (const headers of <Record<string, string>[]>[
        { 'Client-Cert': field },
        { 'Client-Cert': field, 'X-Forwarded-For': '127.0.0.1' },
        { 'X-Client-Cert': text, 'X-SSL-Client-Verify': 'SUCCESS', 'X-SSL-Client-S-DN': 'CN=bob' },
        { 'X-SSL-Client-Cert': text, 'X-Forwarded-Client-Cert': `Cert="${text}"`, 'SSL-Client-Cert': text },
      ]) {
        const { status, body } = await client(booted.origin).get('/demo/mtls', headers);
        expect([status, body.code]).toEqual([401, 'unauthenticated']);
      }
    });

    it('the strategy ignores Client-Cert from an untrusted peer by itself', async () => {
      const { field } = await forgeCertificate(await readCaKeyPair(booted));
      const from = (remoteAddress: string) => ({
        header: (name: string) => (name === 'Client-Cert' ? field : undefined),
        lines: () => [field],
        socket: { remoteAddress },
      });
      const strategy = booted.app.get(MtlsStrategy);
      for (const address of ['127.0.0.1', '192.0.2.1'])
        expect(strategy.claims(from(address) as never)).toBe(false);
    });

    it('closes the connection for a chain of 100 certificates or of 200 kB', async () => {
      const links = [await forgeCertificate(undefined, { subject: 'CN=0', isCa: true })];
      for (let i = 1; i < 100; i++)
        links.unshift(await forgeCertificate(links[0]!.signer, { subject: `CN=${i}`, isCa: true }));
      const deep = await forgeCertificate(links[0]!.signer);
      const long = await forgeCertificate(links[0]!.signer, { padding: 200_000 });
      for (const { cert, key } of [deep, long]) {
        const chain = [cert, ...links.map((link) => link.cert)].join('');
        const response = await getWith({ cert: chain, key }).catch(() => undefined);
        expect(response).toBeUndefined();
      }
      expect(await getWith(await issue())).toEqual({ status: 200 });
    });

    it('responds 421 if Host differs from the server name of the connection', async () => {
      const identity = await issue();
      const of = (servername: string, host: string, path?: string) =>
        getWith({ ...identity, servername, checkServerIdentity: () => undefined }, path, `Host: ${host}`);
      for (const [sni, host] of [
        ['localhost', 'localhost'],
        ['localhost', `LOCALHOST:${port}`],
        ['', `127.0.0.1:${port}`],
        ['', `[::1]:${port}`],
        ['', `localhost:${port}`],
        ['', 'LOCALHOST'],
      ] as const)
        expect([sni, host, await of(sni, host)]).toEqual([sni, host, { status: 200 }]);
      for (const [sni, host] of [
        ['localhost', 'other.test'],
        ['localhost', '127.0.0.1'],
        ['localhost', 'localhost.'],
        ['other.test', 'localhost'],
        ['other.test', 'other.test'],
        ['', 'localhost.'],
        ['', 'container'],
        ['', 'other.test'],
        ['', '10.0.0.1'],
        ['other', 'localhost'],
      ] as const)
        for (const path of ['/demo/mtls', '/health/live'])
          expect([sni, host, await of(sni, host, path)]).toEqual([
            sni,
            host,
            { status: 421, code: 'misdirected_request' },
          ]);
      for (const host of ['localhost@other.test', 'localhost, other.test', 'localhost/other.test'])
        expect([host, await of('localhost', host)]).toEqual([host, { status: 400, code: 'invalid_host' }]);
    });

    it('requires the server name of the connection for a Host with a dot', async () => {
      const own = await boot({ env: { PUBLIC_URL: 'https://api.example.test' } });
      const ownPort = await portOf(own);
      const statusFor = async (servername: string) => {
        const wire = await TlsConnection.open(ownPort, { servername, rejectUnauthorized: false });
        const response = await wire.get('/health/live', 'Host: api.example.test');
        wire.close();
        return response?.status;
      };
      expect([await statusFor('api.example.test'), await statusFor('')]).toEqual([200, 421]);
      await own.close();
    });

    it('responds 421 to another Host on a connection that was used before', async () => {
      const wire = await open(await issue());
      const statusOf = async (host: string) => (await wire.get('/demo/mtls', `Host: ${host}`))?.status;
      expect(await statusOf('localhost')).toBe(200);
      expect(await statusOf('other.test')).toBe(421);
      expect(await statusOf('localhost')).toBe(200);
      wire.close();
    });

    it('ignores the certificate of a cross-site request of a browser', async () => {
      const identity = await issue();
      const from = (site: string) => getWith(identity, '/demo/mtls', `Sec-Fetch-Site: ${site}`);
      for (const site of ['cross-site', 'same-site', 'anything'])
        expect(await from(site)).toEqual({ status: 401, code: 'unauthenticated' });
      for (const site of ['same-origin', 'none']) expect(await from(site)).toEqual({ status: 200 });
    });

    it('ignores the certificate of a browser without Sec-Fetch-Site on the page of another origin', async () => {
      const identity = await issue();
      const from = (origin: string) => getWith(identity, '/demo/mtls', `Origin: ${origin}`);
      const { publicUrl } = booted.app.get(Settings);
      const { url } = booted.app.get(MtlsServerService);
      for (const origin of [
        'https://evil.test',
        'null',
        `${url}.evil.test`,
        publicUrl.replace('http', 'https'),
      ])
        expect([origin, await from(origin)]).toEqual([origin, { status: 401, code: 'unauthenticated' }]);
      for (const origin of [publicUrl, url]) expect(await from(origin)).toEqual({ status: 200 });
    });

    it('rejects old TLS versions, CBC ciphers and renegotiation', async () => {
      const identity = await issue();
      const old = {
        ...identity,
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      } as const;
      await expect(open(old)).rejects.toThrow(/alert protocol version|unsupported protocol/);
      const cbc = {
        ...identity,
        maxVersion: 'TLSv1.2',
        ciphers: 'ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256',
      } as const;
      await expect(open(cbc)).rejects.toThrow(/handshake failure/);
      const wire = await open({ ...identity, maxVersion: 'TLSv1.2' });
      wire.socket.renegotiate({}, () => {});
      const [rejection] = (await once(wire.socket, 'error')) as [Error];
      expect(rejection.message).toMatch(/no renegotiation/);
      wire.close();
    });

    it.each<[string, string[], ...string[]]>([
      ['RSA of 1024 bits', ['rsa:1024']],
      ['RSA with the exponent 3', ['rsa:2048', '-pkeyopt', 'rsa_keygen_pubexp:3']],
      ['an unsupported curve', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
      ['a signature over SHA-1', ['rsa:2048'], '-sha1'],
    ])('rejects a signing request with %s', async (_, kind, ...more) => {
      const { csr } = newCsr(kind, ...more);
      const { status, body } = await bob().post('/certificates', { name: 'weak', csr });
      expect([status, body.code]).toEqual([422, 'invalid_csr']);
    });

    it('rejects a signing request that is signed with another key', async () => {
      const [mine, yours] = [newCsr().csr, newCsr().csr].map((pem) =>
        Buffer.from(pem.replace(/-----.*-----/g, ''), 'base64'),
      );
      const key = (der: Buffer) => der.indexOf(Buffer.from('2a8648ce3d030107', 'hex')) + 8;
      const spliced = Buffer.concat([
        mine!.subarray(0, key(mine!)),
        yours!.subarray(key(yours!), key(yours!) + 68),
        mine!.subarray(key(mine!) + 68),
      ]);
      const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${spliced.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
      const before = await booted.db.manager.count(ClientCertificate);
      const { status, body } = await bob().post('/certificates', { name: 'stolen key', csr });
      expect([status, body.code]).toEqual([422, 'invalid_csr']);
      expect(body.detail).toContain('signed with its own key');
      expect(await booted.db.manager.count(ClientCertificate)).toBe(before);
    });

    it('hides the certificates of other accounts', async () => {
      const { id } = await issue();
      const carol = client(booted.origin, as({ id: 'carol', roles: ['viewer'] }));
      expect((await carol.send('DELETE', `/certificates/${id}`)).status).toBe(404);
      expect(JSON.stringify((await carol.get('/certificates')).body)).not.toContain(id);
    });

    it('limits an account to 1,000 unexpired certificates, revoked ones included', async () => {
      const dave = client(booted.origin, as({ id: 'dave' }));
      const common = {
        userId: 'dave',
        name: 'x',
        fingerprint: '',
        scopes: null,
        createdAt: new Date(),
        revokedAt: new Date(),
      };
      const rows = Array.from({ length: 1_000 }, () => ({
        ...common,
        id: newSerialNumber(),
        expiresAt: new Date(Date.now() + DAY),
      }));
      await booted.db.manager.insert(ClientCertificate, rows);
      const { status, body } = await dave.post('/certificates', { name: 'x', csr: newCsr().csr });
      expect([status, body.code]).toEqual([409, 'too_many_credentials']);
      await update(rows[0]!.id, { expiresAt: new Date() });
      await issue({}, dave);
      await booted.db.manager.delete(ClientCertificate, { userId: 'dave' });
    });
  });
});

describe('mtls behind a proxy that ends TLS (RFC 9440)', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' } })));
  afterAll(() => booted.close());

  const getWith = async (field: string) => {
    const { status, body } = await client(booted.origin).get('/demo/mtls', { 'Client-Cert': field });
    return { status, code: body.code };
  };
  const GOOD = { status: 200, code: undefined };
  const REJECTED = { status: 401, code: 'invalid_certificate' };

  it('accepts a known certificate and rejects it after its revocation', async () => {
    const good = await forgeCertificate(await readCaKeyPair(booted));
    expect(await getWith(good.field)).toEqual(REJECTED);
    await storeCertificate(booted, good);
    for (let i = 0; i < 2; i++) expect(await getWith(good.field)).toEqual(GOOD);
    await booted.db.manager.update(ClientCertificate, { id: good.id }, { revokedAt: new Date() });
    expect(await getWith(good.field)).toEqual(REJECTED);
  });

  it('accepts any Host from a trusted proxy that connects over TLS', async () => {
    const { id: _, ca, ...identity } = await newCertificate(booted, 'acme-machine');
    const wire = await TlsConnection.open(await portOf(booted), { ...identity, ca });
    expect(await wire.get('/demo/mtls', 'Host: api.example.test')).toMatchObject({ status: 200 });
    wire.close();
  });

  describe('attacks', () => {
    const url = (value: string) => ({ type: 'url', value }) as const;
    it.each<[string, CertificateOverrides]>([
      ['expired', { from: new Date(Date.now() - 2 * DAY), until: new Date(Date.now() - DAY) }],
      ['not yet valid', { from: new Date(Date.now() + DAY) }],
      ['without an extended key usage', { usages: [] }],
      ['for servers only', { usages: ['serverAuth'] }],
      ['of a CA', { isCa: true }],
      ['with RSA of 1024 bits', { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) }],
      ['on another curve', { keys: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }) }],
      ['without a subjectAltName', { names: [] }],
      ['with two names', { names: [url(BOB_SPIFFE_ID), url(BOB_SPIFFE_ID.replace('bob', 'alice'))] }],
      ['with a duplicate SPIFFE ID', { names: [url(BOB_SPIFFE_ID), url(BOB_SPIFFE_ID)] }],
      [
        'with a SPIFFE ID and a host name',
        { names: [url(BOB_SPIFFE_ID), { type: 'dns', value: 'localhost' }] },
      ],
      ['with NUL in its SPIFFE ID', { names: [url(`${BOB_SPIFFE_ID}\0.test`)] }],
      ['with a wildcard SPIFFE ID', { names: [url('spiffe://acme.auth-atlas/user/*')] }],
      ['with two SPIFFE IDs in one name', { names: [url(`${BOB_SPIFFE_ID}, URI:${BOB_SPIFFE_ID}`)] }],
      ['with its SPIFFE ID as a DNS name', { names: [{ type: 'dns', value: BOB_SPIFFE_ID }] }],
      ['with the user in the subject only', { names: [], subject: 'CN=bob' }],
      ['for another account', { names: [url(BOB_SPIFFE_ID.replace('bob', 'carol'))] }],
      ['for another tenant', { names: [url(BOB_SPIFFE_ID.replace('acme', 'globex'))] }],
    ])('rejects a certificate of our CA that is %s', async (_, overrides) => {
      const forged = await forgeCertificate(await readCaKeyPair(booted), overrides);
      await storeCertificate(booted, forged);
      expect(await getWith(forged.field)).toEqual(REJECTED);
    });

    it('rejects a certificate of another issuer, even if it is in the database', async () => {
      const ours = booted.app.get(CertificateAuthorityService).certificate;
      const authority = await readCaKeyPair(booted);
      const same = await forgeCertificate(undefined, {
        subject: ours.subject.replaceAll('\n', ', '),
        isCa: true,
      });
      const below = await forgeCertificate(authority, { subject: 'CN=intermediate', isCa: true });
      // The last is signed by our CA in the name of another issuer.
      const mixed = { certificate: below.signer.certificate, privateKey: authority.privateKey };
      for (const signer of [same.signer, below.signer, mixed]) {
        const forged = await forgeCertificate(signer);
        await storeCertificate(booted, forged);
        expect(await getWith(forged.field)).toEqual(REJECTED);
      }
    });

    it('rejects another certificate with the serial number of a known one', async () => {
      const authority = await readCaKeyPair(booted);
      const good = await forgeCertificate(authority);
      await storeCertificate(booted, good);
      const twin = await forgeCertificate(authority, { serial: good.id });
      expect([await getWith(good.field), await getWith(twin.field)]).toEqual([GOOD, REJECTED]);
    });

    it('responds 400 if a proxy presents its own certificate and forwards another', async () => {
      const { id: _, ca, ...identity } = await newCertificate(booted, 'acme-machine');
      const good = await forgeCertificate(await readCaKeyPair(booted));
      await storeCertificate(booted, good);
      const wire = await TlsConnection.open(await portOf(booted), { ...identity, ca });
      const response = await wire.get('/demo/mtls', `Client-Cert: ${good.field}`);
      expect(response).toMatchObject({ status: 400, body: { code: 'ambiguous_credentials' } });
      wire.close();
    });
  });
});
