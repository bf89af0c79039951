import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { PasskeyUserHandle } from '../../src/methods/passkey/passkey.entity.js';
import { client, type Booted } from '../support/app.js';
import { mfaTicket } from '../support/second-step.js';
import { withTestToken } from '../support/test-issuer.js';
import {
  assertion,
  bootWithPasskeys,
  creation,
  forgerFor,
  holder,
  json,
  passkeysOf,
  register,
  sendAssertion,
  signIn,
  signedIn,
  someone,
  statusAndCode,
} from './passkey.accounts.js';
import { JsonBrowser, addPasskey } from './passkey.harness.js';

describe('passkey', () => {
  let booted: Booted;
  beforeAll(async () => {
    booted = await bootWithPasskeys();
  });
  afterAll(() => booted.close());

  const me = async (response: Response) => {
    expect(response.status).toBe(200);
    const { test_token } = await json(response);
    return (await client(booted.origin, withTestToken(test_token as string)).get('/me')).body;
  };

  describe('signing in', () => {
    it('signs in without a username, and proves two factors', async () => {
      const { id, authenticator, passkeyId, browser } = await holder(booted);
      const body = await me(await signIn(browser, authenticator));
      expect(body).toMatchObject({ id, proofs: [{ amr: ['swk', 'user', 'mfa'] }] });
      const [stored] = await passkeysOf(booted, id);
      expect([stored!.id, Number(stored!.counter), stored!.lastUsedAt]).toEqual([
        passkeyId,
        1,
        expect.any(Date),
      ]);
    });

    it('signs in with the username of the account, in any case', async () => {
      const { id, authenticator, browser } = await holder(booted);
      const body = await me(await signIn(browser, authenticator, { username: id.toUpperCase() }));
      expect(body.id).toBe(id);
    });

    it('rejects a passkey of an account that the username does not name', async () => {
      const [one, other] = [await holder(booted), await holder(booted)];
      const response = await signIn(one.browser, one.authenticator, { username: other.id });
      expect(response.headers.get('www-authenticate')).toBe('TestToken realm="test"');
      expect(await statusAndCode(response)).toEqual([401, 'invalid_passkey']);
    });

    it('returns the same options for every username, so that they reveal no account', async () => {
      const { id } = await holder(booted);
      const optionsFor = async (body: object) => {
        const response = await new JsonBrowser(booted.origin).post('/auth/passkey/options', body);
        const { challenge, ...options } = await json(response);
        expect([response.status, challenge]).toEqual([200, expect.stringMatching(/^[\w-]{43}$/)]);
        return options;
      };
      const own = await optionsFor({ username: id });
      expect(own).toEqual({
        rpId: 'localhost',
        userVerification: 'required',
        timeout: 120_000,
        allowCredentials: [],
      });
      for (const body of [{ username: 'nobody' }, { username: 'no username' }, {}])
        expect(await optionsFor(body)).toEqual(own);
    });

    it('limits the issued credential to the requested scope', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      const body = await me(await sendAssertion(browser, credential, { scope: 'documents:read' }));
      expect(body.scopes).toEqual(['documents:read']);
    });

    it('rejects an unknown issuer and an unknown scope', async () => {
      const { authenticator, browser } = await holder(booted);
      const credential = await assertion(browser, authenticator);
      for (const more of [{ as: 'nothing' }, { scope: 'everything' }, { more: 1 }])
        expect(await statusAndCode(await sendAssertion(browser, credential, more))).toEqual([
          422,
          'invalid_body',
        ]);
    });

    it('rejects a disabled account, and a removed passkey', async () => {
      const disabled = await holder(booted, { disabledAt: new Date() });
      expect(await statusAndCode(await signIn(disabled.browser, disabled.authenticator))).toEqual([
        401,
        'invalid_passkey',
      ]);
      const removed = await holder(booted);
      await booted.db.sql`DELETE FROM passkeys WHERE id = ${removed.passkeyId}`;
      expect(await statusAndCode(await signIn(removed.browser, removed.authenticator))).toEqual([
        401,
        'invalid_passkey',
      ]);
    });
  });

  describe('registering', () => {
    it('requests a discoverable passkey with user verification', async () => {
      const id = await someone(booted);
      await addPasskey(booted, id, forgerFor(booted));
      const [existing] = await passkeysOf(booted, id);
      const { browser } = await signedIn(booted, id, { amr: ['pwd', 'mfa'] });
      const response = await browser.post('/passkeys/options', {});
      const { handle } = await booted.db.manager.findOneByOrFail(PasskeyUserHandle, { userId: id });
      expect(await json(response)).toMatchObject({
        rp: { id: 'localhost', name: 'Auth Atlas' },
        user: { id: handle, name: id, displayName: id },
        pubKeyCredParams: [-7, -8, -257].map((alg) => ({ alg, type: 'public-key' })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        attestation: 'none',
        excludeCredentials: [{ id: existing!.credentialId }],
      });
    });

    it('uses a random user handle that stays the same', async () => {
      const id = await someone(booted);
      const { browser } = await signedIn(booted, id);
      const handles = [];
      for (let i = 0; i < 2; i++)
        handles.push((await json(await browser.post('/passkeys/options', {}))).user.id as string);
      expect(handles[0]).toMatch(/^[\w-]{86}$/);
      expect(handles[1]).toBe(handles[0]);
    });

    it('stores the passkey, ends the other sign-ins, and issues a new one with both factors', async () => {
      const id = await someone(booted);
      const [first, second] = [await signedIn(booted, id), await signedIn(booted, id)];
      const response = await register(first.browser, forgerFor(booted), { name: 'phone' });
      const { passkey, sign_in } = await json(response);
      expect([response.status, passkey]).toEqual([
        201,
        {
          id: expect.any(String),
          name: 'phone',
          authenticator: 'Unknown',
          transports: ['internal'],
          backupEligible: false,
          backedUp: false,
          createdAt: expect.any(String),
          lastUsedAt: null,
        },
      ]);
      expect((await first.api.get('/me')).status).toBe(401);
      expect((await second.api.get('/me')).status).toBe(401);
      const api = client(booted.origin, withTestToken(sign_in.test_token as string));
      expect((await api.get('/me')).body.proofs[0].amr).toEqual(['pwd', 'swk', 'user', 'mfa']);
      expect((await api.get('/passkeys')).body.items).toEqual([passkey]);
      const event = await booted.db.manager.findOneByOrFail(AuditEvent, { target: `passkey:${passkey.id}` });
      expect(event).toMatchObject({ event: 'authn_token_created', userId: id });
    });

    it.each(['ES256', 'EdDSA', 'RS256'] as const)(
      'accepts a key for %s, which then signs in',
      async (keyType) => {
        const id = await someone(booted);
        const authenticator = forgerFor(booted);
        authenticator.keyType = keyType;
        const { browser } = await signedIn(booted, id);
        expect((await register(browser, authenticator)).status).toBe(201);
        const [stored] = await passkeysOf(booted, id);
        expect(stored!.algorithm).toBe({ ES256: -7, EdDSA: -8, RS256: -257 }[keyType]);
        expect((await me(await signIn(new JsonBrowser(booted.origin), authenticator))).id).toBe(id);
      },
    );

    it('names a passkey after its authenticator', async () => {
      const { browser } = await signedIn(booted, await someone(booted));
      const { passkey } = await json(await register(browser, forgerFor(booted)));
      expect(passkey.name).toBe('Unknown');
    });

    it('rejects the credential id of another passkey', async () => {
      const { id } = await holder(booted);
      const [existing] = await passkeysOf(booted, id);
      const { browser } = await signedIn(booted, await someone(booted));
      const authenticator = forgerFor(booted);
      authenticator.nextCredentialId = Buffer.from(existing!.credentialId, 'base64url');
      expect(await statusAndCode(await register(browser, authenticator))).toEqual([
        409,
        'passkey_already_registered',
      ]);
      expect(await passkeysOf(booted, id)).toEqual([existing]);
    });

    it('accepts 20 passkeys of an account', async () => {
      const id = await someone(booted);
      for (let i = 0; i < 20; i++) await addPasskey(booted, id, forgerFor(booted));
      const { browser } = await signedIn(booted, id, { amr: ['pwd', 'mfa'] });
      expect(await statusAndCode(await register(browser, forgerFor(booted)))).toEqual([
        409,
        'too_many_credentials',
      ]);
      expect(await passkeysOf(booted, id)).toHaveLength(20);
    });
  });

  describe('managing', () => {
    it('shows, renames and removes only own passkeys', async () => {
      const [own, other] = [await holder(booted), await holder(booted)];
      const { api } = await signedIn(booted, own.id);
      const renamed = await api.send('PATCH', `/passkeys/${own.passkeyId}`, { body: { name: ' laptop ' } });
      expect([renamed.status, renamed.body.name]).toEqual([200, 'laptop']);
      expect((await api.get('/passkeys')).body.items).toEqual([renamed.body]);
      for (const method of ['PATCH', 'DELETE']) {
        const body = method === 'PATCH' ? { name: 'mine' } : undefined;
        const { status } = await api.send(method, `/passkeys/${other.passkeyId}`, { body });
        expect(status).toBe(404);
      }
      expect((await passkeysOf(booted, other.id))[0]!.name).toBe('test');
    });

    it('removes a passkey, ends the other sign-ins and issues a new one', async () => {
      const { id, passkeyId } = await holder(booted);
      await addPasskey(booted, id, forgerFor(booted));
      const [first, second] = [await signedIn(booted, id), await signedIn(booted, id)];
      const removed = await first.api.send('DELETE', `/passkeys/${passkeyId}`);
      expect([removed.status, removed.body]).toEqual([200, { test_token: expect.any(String) }]);
      expect((await second.api.get('/me')).status).toBe(401);
      expect(await passkeysOf(booted, id)).toHaveLength(1);
    });

    it('keeps the last way to sign in, also if two removals arrive together', async () => {
      const { id, passkeyId } = await holder(booted);
      const { api } = await signedIn(booted, id);
      const { status, body } = await api.send('DELETE', `/passkeys/${passkeyId}`);
      expect([status, body.code]).toEqual([409, 'last_sign_in_method']);
      const second = await addPasskey(booted, id, forgerFor(booted));
      await Promise.all([passkeyId, second.id].map((each) => api.send('DELETE', `/passkeys/${each}`)));
      expect(await passkeysOf(booted, id)).toHaveLength(1);
    });

    it('requires a recent sign-in without limits', async () => {
      const { id, passkeyId } = await holder(booted);
      const old = await signedIn(booted, id, { at: new Date(Date.now() - 10 * 60_000) });
      const limited = await signedIn(booted, id, {}, ['documents:read']);
      for (const { api, code } of [
        { ...old, code: 'reauthentication_required' },
        { ...limited, code: 'limited_credential' },
      ])
        for (const [method, path] of [
          ['POST', '/passkeys/options'],
          ['DELETE', `/passkeys/${passkeyId}`],
        ] as const) {
          const { status, body } = await api.send(method, path);
          expect([status, body.code]).toEqual([403, code]);
        }
      for (const [method, path, body] of [
        ['GET', '/passkeys', undefined],
        ['PATCH', `/passkeys/${passkeyId}`, { name: 'stolen' }],
      ] as const) {
        const { status, body: problem } = await limited.api.send(method, path, { body });
        expect([status, problem.code]).toEqual([403, 'limited_credential']);
      }
      const fresh = await signedIn(booted, id);
      const credential = await creation(fresh.browser, forgerFor(booted));
      old.browser.setCookie('passkey', fresh.browser.cookie('passkey')!);
      expect(await statusAndCode(await old.browser.post('/passkeys', { credential }))).toEqual([
        403,
        'reauthentication_required',
      ]);
      expect(await passkeysOf(booted, id)).toHaveLength(1);
    });
  });

  describe('as second factor', () => {
    /** An account whose sign-ins need a second factor. */
    const protectedHolder = () => holder(booted, { mfaSince: new Date() });
    const begin = (browser: JsonBrowser, mfa_token: string) =>
      browser.post('/auth/mfa/options', { factor: 'passkey', mfa_token });

    it('completes a sign-in', async () => {
      const { id, authenticator, browser } = await protectedHolder();
      const mfa_token = await mfaTicket(booted, id, 'test-issuer');
      const options = await json(await begin(browser, mfa_token));
      const [stored] = await passkeysOf(booted, id);
      expect(options).toMatchObject({
        userVerification: 'preferred',
        allowCredentials: [{ id: stored!.credentialId }],
      });
      const credential = authenticator.get(options);
      const body = await me(await browser.post('/auth/mfa', { factor: 'passkey', mfa_token, credential }));
      expect(body).toMatchObject({ id, proofs: [{ amr: ['pwd', 'swk', 'user', 'mfa'] }] });
    });

    it('accepts a passkey without user verification after another factor', async () => {
      const { id, authenticator, browser } = await protectedHolder();
      const mfa_token = await mfaTicket(booted, id, 'test-issuer');
      authenticator.verifiesUser = false;
      const credential = authenticator.get(await json(await begin(browser, mfa_token)));
      const response = await browser.post('/auth/mfa', { factor: 'passkey', mfa_token, credential });
      expect((await me(response)).proofs[0].amr).toEqual(['pwd', 'swk', 'user', 'mfa']);
    });

    it('rejects a passkey that is not in the list', async () => {
      const [own, other] = [await protectedHolder(), await protectedHolder()];
      const mfa_token = await mfaTicket(booted, own.id, 'test-issuer');
      const { allowCredentials: _, ...options } = await json(await begin(own.browser, mfa_token));
      const credential = other.authenticator.get(options as never);
      const response = await own.browser.post('/auth/mfa', { factor: 'passkey', mfa_token, credential });
      expect(await statusAndCode(response)).toEqual([401, 'invalid_factor']);
    });

    it('rejects a proof that is no assertion', async () => {
      const { id, browser } = await protectedHolder();
      const mfa_token = await mfaTicket(booted, id, 'test-issuer');
      const body = { factor: 'passkey', mfa_token, credential: { id: 'x' } };
      expect(await statusAndCode(await browser.post('/auth/mfa', body))).toEqual([422, 'invalid_body']);
    });

    it.each([
      [true, ['swk', 'user', 'mfa']],
      [false, ['otp', 'swk', 'user', 'mfa']],
    ])('steps up; with user verification (%s) it is a whole sign-in', async (verifiesUser, amr) => {
      const { id, authenticator } = await protectedHolder();
      authenticator.verifiesUser = verifiesUser;
      const { browser } = await signedIn(booted, id, { at: new Date(0), amr: ['otp'] });
      const options = await json(await browser.post('/auth/step-up/options', { factor: 'passkey' }));
      const credential = authenticator.get(options);
      const response = await browser.post('/auth/step-up', { factor: 'passkey', credential });
      const { proofs } = await me(response);
      expect([proofs[0].amr, Date.now() - new Date(proofs[0].at as string).getTime() < 60_000]).toEqual([
        amr,
        true,
      ]);
    });
  });

  it('lists the origins that may use the passkeys', async () => {
    const { status, headers, body } = await client(booted.origin).get('/.well-known/webauthn');
    expect([status, body]).toEqual([200, { origins: ['http://localhost:0'] }]);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
  });
});
