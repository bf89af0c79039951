import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { cbor } from '../../src/methods/passkey/passkey.client.js';
import type { Booted } from '../support/app.js';
import { race } from '../support/race.js';
import {
  assertion,
  bootWithPasskeys,
  creation,
  forgerFor,
  holder,
  json,
  lastReason,
  passkeysOf,
  sendAssertion,
  signIn,
  signedIn,
  someone,
  statusAndCode,
} from './passkey.accounts.js';
import type { Changes, ForgingAuthenticator } from './passkey.forge.js';
import { JsonBrowser } from './passkey.harness.js';

const REJECTED = [401, 'invalid_passkey'];
const NOT_REGISTERED = [400, 'invalid_registration'];

/** Responses that a browser or an authenticator signs and that this site must not accept, with the reason in the audit log. */
const FORGED: readonly [title: string, changes: Changes, reason: RegExp][] = [
  ['another challenge', { clientData: { challenge: 'A'.repeat(43) } }, /challenge/],
  ['an unsecured origin', { clientData: { origin: 'http://localhost' } }, /origin/],
  ['another port', { clientData: { origin: 'http://localhost:1' } }, /origin/],
  ['a subdomain', { clientData: { origin: 'http://app.localhost:0' } }, /origin/],
  ['an origin that begins like ours', { clientData: { origin: 'http://localhost:0.example' } }, /origin/],
  ['an opaque origin', { clientData: { origin: 'null' } }, /origin/],
  ['an Android app', { clientData: { origin: `android:apk-key-hash:${'A'.repeat(43)}` } }, /origin/],
  ['an embedded page', { clientData: { crossOrigin: true } }, /embedded/],
  [
    'an embedded page with its top origin',
    { clientData: { crossOrigin: true, topOrigin: 'https://example.com' } },
    /embedded/,
  ],
  ['a top origin alone', { clientData: { topOrigin: 'https://example.com' } }, /embedded/],
  ['a text as crossOrigin', { clientData: { crossOrigin: 'false' } }, /embedded/],
  ['another relying party', { rpId: 'example.com' }, /RP ID/i],
  ['no user presence', { withoutFlags: 0x01 }, /present/],
  ['no user verification', { withoutFlags: 0x04 }, /verif/],
];

describe('passkey attacks', () => {
  let booted: Booted;
  beforeAll(async () => {
    booted = await bootWithPasskeys();
  });
  afterAll(() => booted.close());
  afterEach(() => {
    jest.restoreAllMocks();
  });

  async function registering(own = {}) {
    const id = await someone(booted, own);
    return { id, ...(await signedIn(booted, id)), authenticator: forgerFor(booted) };
  }
  const sendCreation = (browser: JsonBrowser, credential: object) =>
    browser.post('/passkeys', { credential });

  describe.each(FORGED)('rejects %s', (_, changes, reason) => {
    it('at a sign-in', async () => {
      const { id, authenticator, browser } = await holder(booted);
      authenticator.changes = changes;
      expect(await statusAndCode(await signIn(browser, authenticator))).toEqual(REJECTED);
      expect(await lastReason(booted, 'invalid_passkey')).toMatch(reason);
      expect((await passkeysOf(booted, id))[0]!.lastUsedAt).toBeNull();
    });

    it('at a registration', async () => {
      const { id, browser, authenticator } = await registering();
      authenticator.changes = changes;
      const response = await sendCreation(browser, await creation(browser, authenticator));
      expect(await statusAndCode(response)).toEqual(NOT_REGISTERED);
      expect(await lastReason(booted, 'invalid_registration')).toMatch(reason);
      expect(await passkeysOf(booted, id)).toEqual([]);
    });
  });

  it('rejects the response to a creation request at a sign-in, and the reverse', async () => {
    const { authenticator, browser } = await holder(booted);
    authenticator.changes = { clientData: { type: 'webauthn.create' } };
    expect(await statusAndCode(await signIn(browser, authenticator))).toEqual(REJECTED);
    const registration = await registering();
    registration.authenticator.changes = { clientData: { type: 'webauthn.get' } };
    const credential = await creation(registration.browser, registration.authenticator);
    expect(await statusAndCode(await sendCreation(registration.browser, credential))).toEqual(NOT_REGISTERED);
  });

  it('takes neither user verification nor the origin from the request', async () => {
    const { authenticator, browser } = await holder(booted);
    for (const options of [{ userVerification: 'discouraged' }, { origin: 'https://evil.example' }])
      expect(await statusAndCode(await browser.post('/auth/passkey/options', options))).toEqual([
        422,
        'invalid_body',
      ]);
    const credential = await assertion(browser, authenticator);
    const response = await browser.post(
      '/auth/passkey',
      { credential, as: 'test-issuer' },
      { Origin: 'https://evil.example', 'X-Forwarded-Host': 'evil.example' },
    );
    expect(response.status).toBe(200);
    authenticator.changes = { clientData: { origin: 'https://evil.example' } };
    const forged = await assertion(browser, authenticator);
    const headers = { Origin: 'https://evil.example', 'X-Forwarded-Host': 'evil.example' };
    const second = await browser.post('/auth/passkey', { credential: forged, as: 'test-issuer' }, headers);
    expect(await statusAndCode(second)).toEqual(REJECTED);
  });

  it('rejects a wrong signature', async () => {
    const { authenticator, browser } = await holder(booted);
    const credential = await assertion(browser, authenticator);
    const stranger = forgerFor(booted);
    stranger.create({ challenge: 'AAAA', rp: { id: 'localhost' }, user: { id: 'AAAA' } });
    const { signature } = stranger.get({ challenge: 'AAAA', rpId: 'localhost' }).response;
    const response = await sendAssertion(browser, {
      ...credential,
      response: { ...credential.response, signature },
    });
    expect(await statusAndCode(response)).toEqual(REJECTED);
    expect(await lastReason(booted, 'invalid_passkey')).toBe('the signature is wrong');
  });

  describe('challenges', () => {
    it('are used once, at a sign-in and at a registration', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const cookie = browser.cookie('passkey')!;
      expect((await sendAssertion(browser, credential)).status).toBe(200);
      expect(browser.cookie('passkey')).toBeUndefined();
      browser.setCookie('passkey', cookie);
      expect(await statusAndCode(await sendAssertion(browser, credential))).toEqual(REJECTED);
      expect(await lastReason(booted, 'invalid_passkey')).toBe('the challenge was used before');

      const first = await registering();
      const created = await creation(first.browser, first.authenticator);
      const registrationCookie = first.browser.cookie('passkey')!;
      expect((await sendCreation(first.browser, created)).status).toBe(201);
      const again = await signedIn(booted, first.id, { amr: ['mfa', 'pwd'] });
      again.browser.setCookie('passkey', registrationCookie);
      expect(await statusAndCode(await sendCreation(again.browser, created))).toEqual(NOT_REGISTERED);
      expect(await passkeysOf(booted, first.id)).toHaveLength(1);
    });

    it('are used once by 20 requests at the same time', async () => {
      const { authenticator } = await holder(booted);
      const make = async () => {
        const browser = new JsonBrowser(booted.origin);
        const credential = await assertion(browser, authenticator);
        return { credential, cookie: browser.cookie('passkey')! };
      };
      const use = async (origin: string, { credential, cookie }: Awaited<ReturnType<typeof make>>) => {
        const browser = new JsonBrowser(origin);
        browser.setCookie('passkey', cookie);
        return (await sendAssertion(browser, credential)).status === 200;
      };
      expect(await race({ origins: [booted.origin], rounds: 10, make, use })).toEqual([]);
    });

    it('end after two minutes', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const now = Date.now();
      jest.spyOn(Date, 'now').mockReturnValue(now + 120_001);
      expect(await statusAndCode(await sendAssertion(browser, credential))).toEqual(REJECTED);
      expect(await lastReason(booted, 'invalid_passkey')).toBe('the challenge has expired');
    });

    it('are bound to the browser', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const stranger = new JsonBrowser(booted.origin);
      expect(await statusAndCode(await sendAssertion(stranger, credential))).toEqual(REJECTED);
      await stranger.post('/auth/passkey/options', {});
      expect(await statusAndCode(await sendAssertion(stranger, credential))).toEqual(REJECTED);
    });

    it('of a registration, a sign-in and a second factor do not replace each other', async () => {
      const { id, authenticator, browser } = await holder(booted);
      const own = await signedIn(booted, id, { amr: ['pwd', 'mfa'] });
      const registration = await json(await own.browser.post('/passkeys/options', {}));
      browser.setCookie('passkey', own.browser.cookie('passkey')!);
      const response = await sendAssertion(
        browser,
        authenticator.get({ ...registration, rpId: 'localhost' }),
      );
      expect(await statusAndCode(response)).toEqual(REJECTED);

      const stepUp = await json(await own.browser.post('/auth/step-up/options', { factor: 'passkey' }));
      browser.setCookie('passkey', own.browser.cookie('passkey')!);
      expect(await statusAndCode(await sendAssertion(browser, authenticator.get(stepUp)))).toEqual(REJECTED);

      const signInOptions = await json(await own.browser.post('/auth/passkey/options', {}));
      const credential = authenticator.get(signInOptions);
      const second = await own.browser.post('/auth/step-up', { factor: 'passkey', credential });
      expect(await statusAndCode(second)).toEqual([401, 'invalid_factor']);
      const created = authenticator.create({
        ...signInOptions,
        rp: { id: 'localhost' },
        user: { id: 'AAAA' },
      });
      expect(await statusAndCode(await sendCreation(own.browser, created))).toEqual(NOT_REGISTERED);
    });

    it('of an account do not register or step up another', async () => {
      const [victim, attacker] = [await registering(), await registering()];
      const credential = await creation(attacker.browser, attacker.authenticator);
      victim.browser.setCookie('passkey', attacker.browser.cookie('passkey')!);
      expect(await statusAndCode(await sendCreation(victim.browser, credential))).toEqual(NOT_REGISTERED);
      expect(await passkeysOf(booted, victim.id)).toEqual([]);

      const [one, other] = [await holder(booted), await holder(booted)];
      const [first, second] = [await signedIn(booted, one.id), await signedIn(booted, other.id)];
      const options = await json(await second.browser.post('/auth/step-up/options', { factor: 'passkey' }));
      // With the passkey of the other account, and with the own one.
      for (const { authenticator } of [other, one]) {
        first.browser.setCookie('passkey', second.browser.cookie('passkey')!);
        const credential = authenticator.get({ ...options, allowCredentials: [] });
        const response = await first.browser.post('/auth/step-up', { factor: 'passkey', credential });
        expect(await statusAndCode(response)).toEqual([401, 'invalid_factor']);
      }
    });

    it('are rejected if the cookie was altered, or came twice', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const cookie = browser.cookie('passkey')!;
      browser.setCookie('passkey', `${cookie.slice(0, -4)}AAAA`);
      expect(await statusAndCode(await sendAssertion(browser, credential))).toEqual(REJECTED);
      browser.setCookie('passkey', `${cookie}; passkey=planted`);
      expect(await statusAndCode(await sendAssertion(browser, credential))).toEqual([
        400,
        'duplicate_cookie',
      ]);
    });
  });

  describe('the signature counter', () => {
    const stored = async (id: string) => Number((await passkeysOf(booted, id))[0]!.counter);

    it.each([
      [7, 7],
      [7, 6],
      [7, 0],
    ])('rejects %i followed by %i, and records that a copy may exist', async (first, second) => {
      const { id, authenticator, browser } = await holder(booted);
      authenticator.changes = { counter: first };
      expect((await signIn(browser, authenticator)).status).toBe(200);
      authenticator.changes = { counter: second };
      expect(await statusAndCode(await signIn(browser, authenticator))).toEqual(REJECTED);
      expect(await lastReason(booted, 'invalid_passkey')).toMatch(
        /counter has not increased: a copy may exist$/,
      );
      expect(await stored(id)).toBe(first);
    });

    it('accepts an authenticator without a counter, and the largest value', async () => {
      const { id, authenticator, browser } = await holder(booted);
      authenticator.changes = { counter: 0 };
      for (let i = 0; i < 2; i++) expect((await signIn(browser, authenticator)).status).toBe(200);
      authenticator.changes = { counter: 0xffff_ffff };
      expect((await signIn(browser, authenticator)).status).toBe(200);
      expect(await stored(id)).toBe(0xffff_ffff);
    });

    it('accepts one of several signatures with the same value at the same time', async () => {
      const { authenticator } = await holder(booted);
      authenticator.changes = { counter: 9 };
      const browsers = Array.from({ length: 5 }, () => new JsonBrowser(booted.origin));
      const credentials = await Promise.all(browsers.map((browser) => assertion(browser, authenticator)));
      const responses = await Promise.all(
        browsers.map((browser, i) => sendAssertion(browser, credentials[i]!)),
      );
      expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
    });
  });

  it("rejects another account's user handle, and none", async () => {
    const [own, other] = [await holder(booted), await holder(booted)];
    const { userHandle } = (await assertion(other.browser, other.authenticator)).response;
    for (const handle of [userHandle, null, undefined]) {
      const credential = await assertion(own.browser, own.authenticator);
      const response = { ...credential.response, userHandle: handle };
      expect(await statusAndCode(await sendAssertion(own.browser, { ...credential, response }))).toEqual(
        REJECTED,
      );
    }
  });

  describe('rejects at a registration', () => {
    it.each([-65535, -37, -48, 0])(
      'a key with the algorithm %i, which was not offered',
      async (algorithm) => {
        const { id, browser, authenticator } = await registering();
        authenticator.changes = { coseKey: new Map([[3, algorithm]]) };
        const response = await sendCreation(browser, await creation(browser, authenticator));
        expect(await statusAndCode(response)).toEqual(NOT_REGISTERED);
        expect(await lastReason(booted, 'invalid_registration')).toMatch(/public key alg/);
        expect(await passkeysOf(booted, id)).toEqual([]);
      },
    );

    it.each<[string, Partial<ForgingAuthenticator>]>([
      ['an RSA key of 1024 bits', { keyType: 'RS256', modulusLength: 1024 }],
      ['a point outside the curve', { changes: { coseKey: new Map([[-2, Buffer.alloc(32, 1)]]) } }],
      ['a curve without its coordinate', { changes: { coseKey: new Map([[-3, 0]]) } }],
      [
        'a point of small order',
        { keyType: 'EdDSA', changes: { coseKey: new Map([[-2, Buffer.alloc(32)]]) } },
      ],
    ])('%s as key', async (_, weak) => {
      const { id, browser, authenticator } = await registering();
      Object.assign(authenticator, weak);
      const response = await sendCreation(browser, await creation(browser, authenticator));
      expect(await statusAndCode(response)).toEqual(NOT_REGISTERED);
      expect(await lastReason(booted, 'invalid_registration')).toBe('the public key is weak or malformed');
      expect(await passkeysOf(booted, id)).toEqual([]);
    });

    it('a credential id of 1024 bytes, and accepts one of 1023', async () => {
      for (const [length, status] of [
        [1_024, 422],
        [1_023, 201],
      ] as const) {
        const { browser, authenticator } = await registering();
        authenticator.nextCredentialId = Buffer.alloc(length, length);
        const response = await sendCreation(browser, await creation(browser, authenticator));
        expect([length, response.status]).toEqual([length, status]);
      }
    });

    it('an id that differs from the authenticator data', async () => {
      const { id, browser, authenticator } = await registering();
      const credential = await creation(browser, authenticator);
      const response = await sendCreation(browser, { ...credential, id: 'AAAA', rawId: 'AAAA' });
      expect(await statusAndCode(response)).toEqual(NOT_REGISTERED);
      expect(await passkeysOf(booted, id)).toEqual([]);
    });

    it.each<[string, (honest: Buffer) => Buffer]>([
      ['bytes after the attestation object', (honest) => Buffer.concat([honest, Buffer.from([0])])],
      ['a truncated attestation object', (honest) => honest.subarray(0, -1)],
      [
        'a key twice',
        (honest) => Buffer.concat([Buffer.from([0xa4]), cbor('fmt'), cbor('none'), honest.subarray(1)]),
      ],
      ['a map of 2^32 - 1 entries', () => Buffer.from('baffffffff', 'hex')],
      ['a list of 2^64 - 1 items', () => Buffer.from('9bffffffffffffffff', 'hex')],
      ['a length of 4 GB', () => Buffer.from('a16861757468446174615affffffff00', 'hex')],
      ['an indefinite length', () => Buffer.from('bf63666d74646e6f6e65ff', 'hex')],
      ['lists in 20,000 lists', () => Buffer.concat([Buffer.alloc(20_000, 0x81), Buffer.from([0])])],
      [
        'maps in 10,000 maps',
        () => Buffer.concat([Buffer.alloc(20_000, Buffer.from([0xa1, 0x01])), Buffer.from([0])]),
      ],
      ['a tag', () => Buffer.from('c000', 'hex')],
      ['no map', () => Buffer.from('f6', 'hex')],
      ['nothing but one byte', () => Buffer.from('5b', 'hex')],
    ])('%s', async (_, change) => {
      const { id, browser, authenticator } = await registering();
      const credential = await creation(browser, authenticator);
      const honest = Buffer.from(credential.response.attestationObject, 'base64url');
      const attestationObject = change(honest).toString('base64url');
      const response = await sendCreation(browser, {
        ...credential,
        response: { ...credential.response, attestationObject },
      });
      expect(await statusAndCode(response)).toEqual(NOT_REGISTERED);
      expect(await passkeysOf(booted, id)).toEqual([]);
    });

    it('extension data that is nested deeply, also at a sign-in', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const honest = Buffer.from(credential.response.authenticatorData, 'base64url');
      honest[32]! |= 0x80;
      const data = Buffer.concat([honest, Buffer.alloc(2_900, 0x81), Buffer.from([0])]);
      const response = await sendAssertion(browser, {
        ...credential,
        response: { ...credential.response, authenticatorData: data.toString('base64url') },
      });
      expect(await statusAndCode(response)).toEqual(REJECTED);
    });
  });

  it.each<[string, (credential: { id: string; response: object }) => object]>([
    ['padding', ({ id, ...rest }) => ({ id: `${id}=`, rawId: `${id}=`, ...rest })],
    ['standard base64', (credential) => ({ ...credential, id: 'ab+/', rawId: 'ab+/' })],
    ['bits after the last byte', (credential) => ({ ...credential, id: 'AAB', rawId: 'AAB' })],
    ['another type', (credential) => ({ ...credential, type: 'password' })],
    ['an unknown member', (credential) => ({ ...credential, isAdmin: true })],
    ['a number', (credential) => ({ ...credential, response: { ...credential.response, signature: 1 } })],
    [
      'a long signature',
      (credential) => ({ ...credential, response: { ...credential.response, signature: 'A'.repeat(2_000) } }),
    ],
  ])('rejects JSON with %s', async (_, change) => {
    const { authenticator, browser } = await holder(booted);
    const response = await sendAssertion(browser, change(await assertion(browser, authenticator)));
    expect(await statusAndCode(response)).toEqual([422, 'invalid_body']);
  });

  it.each(['[]', 'null', '"text"', '{', '\u0000', '1e999'])('rejects the client data %j', async (text) => {
    const { authenticator, browser } = await holder(booted);
    const credential = await assertion(browser, authenticator);
    const clientDataJSON = Buffer.from(text).toString('base64url');
    const response = await sendAssertion(browser, {
      ...credential,
      response: { ...credential.response, clientDataJSON },
    });
    expect(await statusAndCode(response)).toEqual(REJECTED);
  });

  it('keeps text of the response out of the audit log', async () => {
    const { authenticator, browser } = await holder(booted);
    authenticator.changes = { clientData: { origin: 'https://typed-secret.example' } };
    await signIn(browser, authenticator);
    const reason = await lastReason(booted, 'invalid_passkey');
    expect(reason).toBe('the response is invalid (Unexpected authentication response origin)');
  });
});
