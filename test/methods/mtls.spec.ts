import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import * as fc from 'fast-check';
import { X509Certificate, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  InvalidCertificate,
  formatClientCert,
  isStrongKey,
  spiffeIdOf,
  verifyCertificate,
} from '../../src/methods/mtls/mtls.js';
import { parseClientCert } from '../../src/authentication/client-certificate.js';
import {
  InvalidCsr,
  createCa,
  newKeyPair,
  newSerialNumber,
  parseCa,
  publicKeyFromCsr,
  createCrl,
  type CaKeyPair,
} from '../../src/methods/mtls/mtls.x509.js';
import { BOB_SPIFFE_ID, forgeCertificate } from './mtls.forge.js';

const RUNS = { numRuns: 10_000 };
let ca: CaKeyPair;
let good: X509Certificate;
beforeAll(async () => {
  const { certificate, privateKey } = await createCa(new Date());
  ca = parseCa(certificate, privateKey);
  good = new X509Certificate((await forgeCertificate(ca)).cert);
});

/** Valid bytes with up to four bytes changed. */
const corrupted = (bytes: Buffer) =>
  fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy = Buffer.from(bytes);
    for (const [at, byte] of changes) copy[at] = byte;
    return copy;
  });

describe('Client-Cert', () => {
  it('parses a formatted certificate', () => {
    expect(parseClientCert(formatClientCert(good))?.raw).toEqual(good.raw);
  });

  it('parses the example of RFC 9440 appendix A', () => {
    const example =
      ':MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:';
    expect(parseClientCert(example)?.subject).toBe('CN=BC');
  });

  it('rejects any other text without throwing', () => {
    const field = formatClientCert(good);
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.base64String({ maxLength: 200 }).map((text) => `:${text}:`),
      fc.uint8Array({ maxLength: 500 }).map((bytes) => `:${Buffer.from(bytes).toString('base64')}:`),
      corrupted(good.raw).map((bytes) => `:${bytes.toString('base64')}:`),
      fc.string({ maxLength: 3 }).map((text) => field + text),
      fc.string({ maxLength: 3 }).map((text) => text + field),
    );
    fc.assert(
      fc.property(anything, (text) => {
        const read = parseClientCert(text);
        return !read || formatClientCert(read) === text;
      }),
      RUNS,
    );
  });

  it.each([
    ['bytes after the certificate', () => Buffer.concat([good.raw, Buffer.from([0])])],
    ['PEM in the bytes', () => Buffer.from(good.toString())],
    ['two certificates', () => Buffer.concat([good.raw, good.raw])],
  ])('rejects %s', (_, bytes) => {
    expect(parseClientCert(`:${bytes().toString('base64')}:`)).toBeUndefined();
  });

  it('rejects base64 that is not canonical', () => {
    const text = good.raw.toString('base64');
    const other = text.endsWith('=') ? text.replace(/=+$/, '') : `${text}=`;
    expect(Buffer.from(other, 'base64')).toEqual(good.raw);
    expect(parseClientCert(`:${other}:`)).toBeUndefined();
  });

  it('rejects a header of more than 8,192 characters', async () => {
    const { field } = await forgeCertificate(ca, { padding: 8_000 });
    expect(parseClientCert(field)).toBeUndefined();
    expect(parseClientCert(`:${'A'.repeat(1_000_000)}:`)).toBeUndefined();
  });
});

describe('verifyCertificate', () => {
  it('returns the serial, the fingerprint, the validity and the SPIFFE ID', () => {
    expect(verifyCertificate(good, ca.certificate)).toEqual({
      serial: good.serialNumber.toLowerCase(),
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      spiffeId: BOB_SPIFFE_ID,
      notBefore: new Date(good.validFrom),
      notAfter: new Date(good.validTo),
    });
  });

  it.each([
    'spiffe://acme.auth-atlas/user/*',
    `${BOB_SPIFFE_ID}\0`,
    `${BOB_SPIFFE_ID}, URI:${BOB_SPIFFE_ID}`,
    `${BOB_SPIFFE_ID}/more`,
    `${BOB_SPIFFE_ID}?x`,
    `x${BOB_SPIFFE_ID}`,
  ])('rejects the name %j', async (value) => {
    const { cert } = await forgeCertificate(ca, { names: [{ type: 'url', value }] });
    expect(() => verifyCertificate(new X509Certificate(cert), ca.certificate)).toThrow(InvalidCertificate);
  });

  it('rejects a certificate with any changed byte', () => {
    fc.assert(
      fc.property(corrupted(good.raw), (bytes) => {
        const changed = parseClientCert(`:${bytes.toString('base64')}:`);
        if (!changed || changed.raw.equals(good.raw)) return true;
        try {
          verifyCertificate(changed, ca.certificate);
          return false;
        } catch (error) {
          return error instanceof InvalidCertificate;
        }
      }),
      RUNS,
    );
  });

  it('two accounts never have the same SPIFFE ID', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 36 });
    const account = fc.record({ tenantId: text, id: text, kind: fc.constantFrom('user', 'client') });
    fc.assert(
      fc.property(account, account, (one, other) => {
        const same = one.tenantId === other.tenantId && one.id === other.id && one.kind === other.kind;
        return (spiffeIdOf(one) === spiffeIdOf(other)) === same;
      }),
      RUNS,
    );
  });
});

describe('isStrongKey', () => {
  const rsa = (bits: number, e = 'AQAB') => {
    const n = randomBytes(bits / 8);
    n[0]! |= 0x80;
    return createPublicKey({ key: { kty: 'RSA', n: n.toString('base64url'), e }, format: 'jwk' });
  };
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;

  it('accepts RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519', () => {
    const keys = [rsa(2048), rsa(4096), ec('P-256'), ec('P-384'), generateKeyPairSync('ed25519').publicKey];
    expect(keys.map(isStrongKey)).toEqual(keys.map(() => true));
  });

  it('rejects all other keys', () => {
    const keys = [
      ...[
        rsa(1024),
        rsa(2040),
        rsa(4104),
        rsa(16_384),
        rsa(2048, 'AQ'),
        rsa(2048, 'Aw'),
        rsa(3072, 'B'.repeat(300)),
      ],
      ...[ec('P-521'), ec('secp256k1'), ec('P-224')],
      generateKeyPairSync('x25519').publicKey,
      generateKeyPairSync('ed448').publicKey,
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey,
      generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }).publicKey,
    ];
    expect(keys.map(isStrongKey)).toEqual(keys.map(() => false));
  });
});

describe('publicKeyFromCsr', () => {
  const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const newCsr = async () => {
    const keys = await crypto.subtle.generateKey(ES256, false, ['sign', 'verify']);
    return x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=x', keys, signingAlgorithm: ES256 });
  };
  const pem = (bytes: Buffer) => x509.PemConverter.encode(Uint8Array.from(bytes), 'CERTIFICATE REQUEST');

  it('rejects a signing request with any changed byte, and noise', async () => {
    const der = Buffer.from((await newCsr()).rawData);
    const key = await publicKeyFromCsr(pem(der));
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => pem(Buffer.from(bytes))),
      corrupted(der).map(pem),
    );
    const property = fc.asyncProperty(anything, (text) =>
      publicKeyFromCsr(text).then(
        (read) => read.equals(key),
        (error) => error instanceof InvalidCsr,
      ),
    );
    await fc.assert(property, RUNS);
  });

  it('rejects deeply nested DER', async () => {
    for (const unit of ['3080', 'a080', '30820000', '2480'])
      await expect(publicKeyFromCsr(pem(Buffer.from(unit.repeat(3_000), 'hex')))).rejects.toThrow(InvalidCsr);
  });

  it('rejects a certificate and a public key', async () => {
    const { publicKey } = newKeyPair();
    for (const text of [good.toString(), publicKey.export({ format: 'pem', type: 'spki' }).toString()])
      await expect(publicKeyFromCsr(text)).rejects.toThrow(InvalidCsr);
  });
});

describe('createCrl', () => {
  it('writes a list that another library parses and verifies', async () => {
    const revoked = Array.from({ length: 1_000 }, () => ({
      serial: newSerialNumber(),
      revocationDate: new Date(0),
    }));
    for (const some of [[], revoked.slice(0, 1), revoked]) {
      const [from, until] = [new Date('2030-01-01T00:00:00Z'), new Date('2051-01-01T00:00:00Z')];
      const crl = new x509.X509Crl(await createCrl(ca, some, from, until));
      expect([crl.thisUpdate, crl.nextUpdate]).toEqual([from, until]);
      expect(crl.issuer).toBe(new x509.X509Certificate(ca.certificate.raw).subject);
      expect(crl.entries.map(({ serialNumber }) => serialNumber)).toEqual(some.map(({ serial }) => serial));
      const publicKey = new x509.PublicKey(new x509.X509Certificate(ca.certificate.raw).publicKey.rawData);
      expect(await crl.verify({ publicKey })).toBe(true);
    }
  });

  it('encodes serial numbers and CRL numbers as positive integers', async () => {
    const negative = { serial: 'f0'.repeat(16), revocationDate: new Date(0) };
    const [from, until] = [new Date(0x80), new Date('2051-01-01T00:00:00Z')];
    const crl = Buffer.from(new x509.X509Crl(await createCrl(ca, [negative], from, until)).rawData);
    for (const integer of [`02 11 00 ${'f0'.repeat(16)}`, '02 02 00 80'])
      expect(crl.toString('hex')).toContain(integer.replaceAll(' ', ''));
  });
});
