import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createHash, webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Settings } from '../../src/config/settings.js';
import { cbor } from '../../src/methods/passkey/passkey.client.js';
import { readPasskeyConfig } from '../../src/methods/passkey/passkey.config.js';
import { client, type Booted } from '../support/app.js';
import {
  bootWithPasskeys,
  creation,
  forgerFor,
  holder,
  json,
  lastReason,
  passkeysOf,
  register,
  signIn,
  signedIn,
  someone,
  statusAndCode,
} from './passkey.accounts.js';

const ANDROID = `android:apk-key-hash:${'A'.repeat(43)}`;
const read = (variables: Record<string, string>) =>
  readPasskeyConfig(Settings.from({ PUBLIC_URL: 'https://app.example.com', ...variables }));

describe('the settings of passkeys', () => {
  it('are the host and the origin of PUBLIC_URL by default', () => {
    expect(read({})).toEqual({
      rpId: 'app.example.com',
      origins: ['https://app.example.com'],
      webOrigins: ['https://app.example.com'],
      trusted: undefined,
    });
  });

  it('add other origins, of which only the web origins are published', () => {
    const origins = ['https://app.example.com', 'https://app.example.net', ANDROID];
    const config = read({
      PASSKEY_RP_ID: 'example.com',
      PASSKEY_ORIGINS: `https://app.example.net, ${ANDROID}`,
    });
    expect(config).toMatchObject({ rpId: 'example.com', origins, webOrigins: origins.slice(0, 2) });
  });

  it.each<[Record<string, string>, string]>([
    [{ PASSKEY_RP_ID: 'https://example.com' }, 'PASSKEY_RP_ID must be a domain, as example.com.'],
    [{ PASSKEY_RP_ID: 'example.net' }, 'PASSKEY_RP_ID must be the host of PUBLIC_URL or a domain above it.'],
    [{ PASSKEY_RP_ID: 'ple.com' }, 'PASSKEY_RP_ID must be the host of PUBLIC_URL or a domain above it.'],
    [{ PASSKEY_ORIGINS: 'http://example.com' }, 'PASSKEY_ORIGINS must list https origins'],
    [{ PASSKEY_ORIGINS: 'https://example.com/' }, 'PASSKEY_ORIGINS must list https origins'],
    [{ PASSKEY_ORIGINS: '*' }, 'PASSKEY_ORIGINS must list https origins'],
    [{ PASSKEY_ORIGINS: 'android:apk-key-hash:short' }, 'PASSKEY_ORIGINS must list https origins'],
    [{ PASSKEY_ATTESTATION: 'yes' }, 'PASSKEY_ATTESTATION must be none or required.'],
    [
      { PASSKEY_ATTESTATION: 'required' },
      'PASSKEY_ATTESTATION=required needs PASSKEY_ATTESTATION_ROOTS_FILE.',
    ],
    [
      { PASSKEY_ATTESTATION: 'required', PASSKEY_ATTESTATION_ROOTS_FILE: '/absent.pem' },
      'PASSKEY_ATTESTATION_ROOTS_FILE must name a readable file of PEM certificates.',
    ],
    [
      { PASSKEY_ATTESTATION: 'required', PASSKEY_ATTESTATION_ROOTS_FILE: 'package.json' },
      'PASSKEY_ATTESTATION_ROOTS_FILE must name a readable file of PEM certificates.',
    ],
    [{ PASSKEY_AAGUIDS: 'YubiKey' }, 'PASSKEY_AAGUIDS must list AAGUIDs'],
  ])('stop the start: %j', (variables, sentence) => {
    expect(() => read(variables)).toThrow(sentence);
  });

  it('accept listed origins only, and publish them', async () => {
    const booted = await bootWithPasskeys({ env: { PASSKEY_ORIGINS: `https://app.example.net,${ANDROID}` } });
    try {
      const { authenticator, browser } = await holder(booted);
      for (const [origin, status] of [
        ['https://app.example.net', 200],
        [ANDROID, 200],
        ['https://app.example.org', 401],
        [`android:apk-key-hash:${'B'.repeat(43)}`, 401],
      ] as const) {
        authenticator.changes = { clientData: { origin } };
        expect([origin, (await signIn(browser, authenticator)).status]).toEqual([origin, status]);
      }
      const { body } = await client(booted.origin).get('/.well-known/webauthn');
      expect(body.origins).toEqual(['http://localhost:0', 'https://app.example.net']);
    } finally {
      await booted.close();
    }
  });
});

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const AAGUID = 'cb69481e-8ff7-4039-93ec-0a2729a154a8';
const DAY_MS = 86_400_000;
type Certificate = { readonly keys: CryptoKeyPair; readonly certificate: x509.X509Certificate };

/** A certificate of a manufacturer, or of one of its authenticators (section 8.2.1). */
async function certify(
  signer: Certificate | undefined,
  isCa: boolean,
  lifetimeDays = 1,
): Promise<Certificate> {
  const keys = await webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);
  const subject = isCa
    ? `CN=root ${createHash('sha256').update(String(Math.random())).digest('hex')}`
    : 'C=AA, O=test, OU=Authenticator Attestation, CN=test';
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: signer?.certificate.subject ?? subject,
      publicKey: keys.publicKey,
      signingKey: (signer?.keys ?? keys).privateKey,
      signingAlgorithm: ES256,
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() + lifetimeDays * DAY_MS),
      extensions: [new x509.BasicConstraintsExtension(isCa, undefined, true)],
    },
    webcrypto as Crypto,
  );
  return { keys, certificate };
}

/** The ASN.1 form of an ECDSA signature, which WebAuthn uses. */
function toDer(raw: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    const first = bytes.findIndex((byte) => byte !== 0);
    const body = bytes.subarray(Math.max(first, 0));
    return Buffer.concat([Buffer.from(body[0]! > 127 ? [2, body.length + 1, 0] : [2, body.length]), body]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

describe('required attestation', () => {
  let booted: Booted;
  let folder: string;
  let root: Certificate;
  beforeAll(async () => {
    root = await certify(undefined, true);
    folder = mkdtempSync(join(tmpdir(), 'atlas-attestation-'));
    writeFileSync(join(folder, 'roots.pem'), root.certificate.toString('pem'));
    booted = await bootWithPasskeys({
      env: {
        PASSKEY_ATTESTATION: 'required',
        PASSKEY_ATTESTATION_ROOTS_FILE: join(folder, 'roots.pem'),
        PASSKEY_AAGUIDS: AAGUID,
      },
    });
  });
  afterAll(async () => {
    await booted.close();
    rmSync(folder, { recursive: true });
  });

  /** Registers a passkey whose authenticator is attested by these certificates, the authenticator's own first. */
  async function registerAttested(chain: readonly Certificate[], aaguid = AAGUID) {
    const id = await someone(booted);
    const { browser } = await signedIn(booted, id);
    const authenticator = forgerFor(booted);
    authenticator.aaguid = Buffer.from(aaguid.replaceAll('-', ''), 'hex');
    const credential = await creation(browser, authenticator);
    const { clientDataJSON } = credential.response;
    const clientDataHash = createHash('sha256').update(Buffer.from(clientDataJSON, 'base64url')).digest();
    // In this attestation object without a statement, the authenticator data is the rest.
    const honest = Buffer.from(credential.response.attestationObject, 'base64url');
    const authData = honest.subarray(honest.indexOf('authData') + 'authData'.length + 2);
    const raw = await webcrypto.subtle.sign(
      ES256,
      chain[0]!.keys.privateKey,
      Buffer.concat([authData, clientDataHash]),
    );
    const statement = new Map<string, unknown>([
      ['alg', -7],
      ['sig', toDer(Buffer.from(raw))],
      ['x5c', chain.map(({ certificate }) => Buffer.from(certificate.rawData))],
    ]);
    const attestationObject = cbor(
      new Map<string, unknown>([
        ['fmt', 'packed'],
        ['attStmt', statement],
        ['authData', authData],
      ]),
    ).toString('base64url');
    const response = { ...credential.response, attestationObject };
    const result = await browser.post('/passkeys', { credential: { ...credential, response } });
    return { result, id };
  }

  it('asks for it, and accepts a listed model of a trusted manufacturer', async () => {
    const { browser } = await signedIn(booted, await someone(booted));
    expect((await json(await browser.post('/passkeys/options', {}))).attestation).toBe('direct');
    const { result, id } = await registerAttested([await certify(root, false)]);
    const { passkey } = await json(result);
    expect([result.status, passkey.authenticator]).toEqual([201, 'YubiKey 5']);
    expect((await passkeysOf(booted, id))[0]!.aaguid).toBe(AAGUID);
  });

  it('accepts an intermediate certificate', async () => {
    const intermediate = await certify(root, true);
    const { result } = await registerAttested([await certify(intermediate, false), intermediate]);
    expect(result.status).toBe(201);
  });

  const rejects = async (response: Response, reason: RegExp) => {
    expect(await statusAndCode(response)).toEqual([400, 'invalid_registration']);
    expect(await lastReason(booted, 'invalid_registration')).toMatch(reason);
  };

  it('rejects no attestation', async () => {
    const { browser } = await signedIn(booted, await someone(booted));
    const authenticator = forgerFor(booted);
    authenticator.aaguid = Buffer.from(AAGUID.replaceAll('-', ''), 'hex');
    await rejects(await register(browser, authenticator), /no certificate attests it/);
  });

  it('rejects a model that is not listed', async () => {
    const chain = [await certify(root, false)];
    const { result } = await registerAttested(chain, 'ee882879-721c-4913-9775-3dfcce97072a');
    await rejects(result, /AAGUID is not listed/);
  });

  it('rejects another root, also if it is sent along', async () => {
    const other = await certify(undefined, true);
    const leaf = await certify(other, false);
    await rejects((await registerAttested([leaf])).result, /no trusted root/);
    await rejects((await registerAttested([leaf, other])).result, /no trusted root/);
    await rejects((await registerAttested([leaf, root])).result, /no trusted root/);
  });

  it('rejects a certificate that only names the trusted root', async () => {
    const { keys } = await certify(undefined, true);
    const { result } = await registerAttested([await certify({ ...root, keys }, false)]);
    await rejects(result, /no trusted root/);
  });

  it('rejects a certificate of an authenticator as issuer', async () => {
    const leaf = await certify(root, false);
    const { result } = await registerAttested([await certify(leaf, false), leaf]);
    await rejects(result, /no trusted root/);
  });

  it('rejects expired certificates', async () => {
    await rejects(
      (await registerAttested([await certify(root, false, -1)])).result,
      /not good after|expired/,
    );
    const expired = await certify(root, true, -1);
    const { result } = await registerAttested([await certify(expired, false), expired]);
    await rejects(result, /a certificate has expired/);
  });

  it('rejects a statement that another key signed', async () => {
    const [leaf, stranger] = [await certify(root, false), await certify(root, false)];
    const { result } = await registerAttested([{ ...leaf, keys: stranger.keys }]);
    await rejects(result, /the attestation signature is wrong/);
  });
});
