import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { HOTP, Secret, TOTP, URI } from 'otpauth';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { totpProof } from '../../src/methods/totp/totp.client.js';
import { TotpSecret } from '../../src/methods/totp/totp.entity.js';
import { newTotpSecret, stepOfCode, totpCode } from '../../src/methods/totp/totp.js';
import { TotpService } from '../../src/methods/totp/totp.service.js';
import { AccountFactors } from '../../src/users/account-factors.service.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { mfaTicket, proveSecondFactor, signedIn } from '../support/second-step.js';
import { enrolApp } from './totp.ceremony.js';

const PERIOD_MS = 30_000;
const longAgo = new Date(Date.now() - 60 * 60_000);

/** RFC 4226 appendix D: the secret is the ASCII text `12345678901234567890`. */
const HOTP_VECTORS = [
  ...['755224', '287082', '359152', '969429', '338314'],
  ...['254676', '287922', '162583', '399871', '520489'],
];
/** RFC 6238 appendix B: eight digits, by seconds since 1970. */
const TOTP_VECTORS: readonly (readonly [number, string, string, string])[] = [
  [59, '94287082', '46119246', '90693936'],
  [1111111109, '07081804', '68084774', '25091201'],
  [1111111111, '14050471', '67062674', '99943326'],
  [1234567890, '89005924', '91819424', '93441116'],
  [2000000000, '69279037', '90698825', '38618901'],
  [20000000000, '65353130', '77737706', '47863826'],
];

describe('totp', () => {
  let booted: Booted;
  let issuer: string;
  beforeAll(async () => {
    booted = await boot();
    [issuer = ''] = booted.app.get(IssuerRegistry).names;
  });
  afterAll(() => booted.close());
  afterEach(async () => {
    await booted.db.sql`DELETE FROM totp_secrets`;
    await booted.db.manager.updateAll(User, { mfaSince: null });
    await booted.db.sql`DELETE FROM login_failures`;
  });

  const account = (id: string) => booted.db.manager.findOneByOrFail(User, { id });
  const prove = async (proof: object, userId = 'bob', ticket?: string) => {
    const text = ticket ?? (await mfaTicket(booted, userId, issuer));
    const response = await proveSecondFactor(booted.origin, text, proof);
    return { status: response.status, body: (await response.json()) as { code?: string } };
  };

  it('is removed by the recovery of an account, with an app that waits for its first code', async () => {
    await enrolApp(booted, 'bob');
    await booted.app.get(TotpService, { strict: false }).enrol(signedIn('bob'));
    await enrolApp(booted, 'carol');
    const factors = booted.app.get(AccountFactors, { strict: false });
    await booted.db.transaction((manager) => factors.removeSecondFactors(manager, 'bob'));
    const left = await booted.db.manager.find(TotpSecret);
    expect(left.map(({ userId }) => userId)).toEqual(['carol']);
    expect((await account('bob')).mfaSince).toBeNull();
  });

  it('has the values of RFC 4226 and RFC 6238', () => {
    const secret = (size: number) => Secret.fromLatin1('1234567890'.repeat(7).slice(0, size));
    HOTP_VECTORS.forEach((code, counter) =>
      expect(HOTP.generate({ secret: secret(20), counter, digits: 6 })).toBe(code),
    );
    const sizes = { SHA1: 20, SHA256: 32, SHA512: 64 };
    for (const [seconds, ...codes] of TOTP_VECTORS)
      Object.entries(sizes).forEach(([algorithm, size], i) => {
        const options = { secret: secret(size), algorithm, digits: 8, timestamp: seconds * 1000 };
        expect(TOTP.generate(options)).toBe(codes[i]);
      });
    for (const [seconds, code] of TOTP_VECTORS)
      expect(totpCode(secret(20).base32, seconds * 1000)).toBe(code.slice(2));
  });

  it('accepts the codes of the current time step and of its neighbours', () => {
    const secret = newTotpSecret();
    const now = 1_800_000_000_000;
    const step = now / PERIOD_MS;
    const found = [-2, -1, 0, 1, 2].map((delta) =>
      stepOfCode(secret, totpCode(secret, now + delta * PERIOD_MS), now),
    );
    expect(found).toEqual([undefined, step - 1, step, step + 1, undefined]);
    for (const code of ['', '12345', '1234567', 'abcdef', '１２３４５６', '-12345', '1e5000'])
      expect(stepOfCode(secret, code, now)).toBeUndefined();
  });

  describe('enrolment', () => {
    const me = (more: object = {}) => client(booted.origin, as({ id: 'bob', roles: ['editor'], ...more }));

    it('shows the secret once, with its QR code, and counts after a code has confirmed it', async () => {
      const started = await me().post('/totp');
      expect(started.status).toBe(201);
      const { secret, uri, qr } = started.body as Record<string, string>;
      expect(URI.parse(uri!)).toMatchObject({ issuer: 'Auth Atlas', label: 'bob', period: 30, digits: 6 });
      expect((URI.parse(uri!) as TOTP).generate()).toBe(totpCode(secret!, Date.now()));
      expect(qr).toMatch(/^<svg /);
      expect((await me().get('/totp')).body).toMatchObject({ enrolled: false });
      expect((await account('bob')).mfaSince).toBeNull();

      const wrong = await me().post('/totp/confirm', { code: '000000' });
      expect([wrong.status, wrong.body.code]).toEqual([422, 'invalid_body']);
      const { epoch } = await account('bob');
      const confirmed = await me().post('/totp/confirm', { code: totpCode(secret!, Date.now()) });
      expect(confirmed.status).toBe(200);
      expect(await account('bob')).toMatchObject({ epoch: epoch + 1, mfaSince: expect.any(Date) });
      const shown = await me({ proofs: [secondFactorProof()] }).get('/totp');
      expect(shown.body).toMatchObject({ enrolled: true });
      expect(JSON.stringify(shown.body)).not.toContain(secret);
    });

    it('stores the secret encrypted, for its account only', async () => {
      const secret = await enrolApp(booted, 'bob');
      const [row] = await booted.db.manager.find(TotpSecret);
      expect(row!.sealed).toMatch(/^[\da-f]{8}\.[\w-]+$/);
      expect(row!.sealed).not.toContain(secret);
      await booted.db.manager.update(TotpSecret, { id: row!.id }, { userId: 'carol' });
      await booted.db.manager.update(User, { id: 'carol' }, { mfaSince: new Date() });
      expect((await prove(totpProof(secret), 'carol')).status).toBe(500);
    });

    it('needs a recent sign-in, also to replace or remove the app', async () => {
      const secret = await enrolApp(booted, 'bob');
      const old = me({ proofs: [{ ...secondFactorProof(), at: longAgo }] });
      for (const [method, path, body] of [
        ['POST', '/totp', undefined],
        ['POST', '/totp/confirm', { code: totpCode(secret, Date.now()) }],
        ['DELETE', '/totp', undefined],
      ] as const) {
        const response = await old.send(method, path, body && { body });
        expect([path, response.status, response.body.code]).toEqual([path, 403, 'reauthentication_required']);
      }
      expect(await booted.db.manager.count(TotpSecret)).toBe(1);
      expect((await prove(totpProof(secret))).status).toBe(200);
    });

    it('keeps the confirmed app until a code of the new one replaces it', async () => {
      const before = await enrolApp(booted, 'bob');
      const { body } = await me().post('/totp');
      expect((await prove(totpProof(before))).status).toBe(200);
      const { secret } = body as { secret: string };
      expect((await prove(totpProof(secret))).status).toBe(401);
      expect((await me().post('/totp/confirm', { code: totpCode(secret, Date.now()) })).status).toBe(200);
      expect((await prove(totpProof(before, Date.now() + PERIOD_MS))).status).toBe(401);
      expect((await prove(totpProof(secret, Date.now() + PERIOD_MS))).status).toBe(200);
    });

    it('forgets a secret that no code confirms within ten minutes', async () => {
      const { secret } = (await me().post('/totp')).body as { secret: string };
      await booted.db.manager.update(TotpSecret, { userId: 'bob' }, { createdAt: longAgo });
      const late = await me().post('/totp/confirm', { code: totpCode(secret, Date.now()) });
      expect([late.status, late.body.code]).toEqual([409, 'totp_not_pending']);
    });

    it('ends with the removal of the app, and sign-ins need no second factor any more', async () => {
      await enrolApp(booted, 'bob');
      expect((await me().send('DELETE', '/totp')).status).toBe(200);
      expect((await account('bob')).mfaSince).toBeNull();
      expect((await me().send('DELETE', '/totp')).status).toBe(404);
    });
  });

  describe('attacks', () => {
    it('a code works once, also with spaces or at another sign-in', async () => {
      const secret = await enrolApp(booted, 'bob');
      const { code } = totpProof(secret);
      expect((await prove({ factor: 'totp', code: `${code.slice(0, 3)} ${code.slice(3)}` })).status).toBe(
        200,
      );
      for (const again of [code, ` ${code}`, `${code.slice(0, 3)} ${code.slice(3)}`]) {
        const { status, body } = await prove({ factor: 'totp', code: again });
        expect([status, body.code]).toEqual([401, 'invalid_factor']);
      }
    });

    it('an older code is rejected after a newer one', async () => {
      const secret = await enrolApp(booted, 'bob');
      expect((await prove(totpProof(secret))).status).toBe(200);
      expect((await prove(totpProof(secret, Date.now() - PERIOD_MS))).status).toBe(401);
    });

    it('one of 20 concurrent requests with the same code succeeds', async () => {
      const secret = await enrolApp(booted, 'bob');
      const tickets = await Promise.all(Array.from({ length: 20 }, () => mfaTicket(booted, 'bob', issuer)));
      const results = await Promise.all(tickets.map((ticket) => prove(totpProof(secret), 'bob', ticket)));
      expect(results.filter(({ status }) => status === 200)).toHaveLength(1);
    });

    it("another account's code is rejected", async () => {
      const secret = await enrolApp(booted, 'bob');
      await enrolApp(booted, 'carol');
      expect((await prove(totpProof(secret), 'carol')).status).toBe(401);
    });

    it('the clock of the client does not count', async () => {
      const secret = await enrolApp(booted, 'bob');
      const old = { factor: 'totp', code: totpCode(secret, longAgo.getTime()) };
      const response = await fetch(`${booted.origin}/auth/mfa`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Date: longAgo.toUTCString() },
        body: JSON.stringify({ ...old, mfa_token: await mfaTicket(booted, 'bob', issuer) }),
      });
      expect(response.status).toBe(401);
      expect((await prove({ ...old, now: longAgo.getTime() })).status).toBe(422);
    });

    it('six wrong codes block further ones, across sign-ins, also the correct one', async () => {
      const secret = await enrolApp(booted, 'bob');
      const statuses: number[] = [];
      for (let i = 0; i < 6; i++) statuses.push((await prove({ factor: 'totp', code: '000000' })).status);
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
      const correct = await prove(totpProof(secret));
      expect([correct.status, correct.body.code]).toEqual([429, 'too_many_attempts']);
    });
  });
});

function secondFactorProof() {
  return { method: 'test', at: new Date(), amr: ['pwd', 'otp', 'mfa'], bound: false, signIn: true } as const;
}
