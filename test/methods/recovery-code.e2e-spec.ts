import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { recoveryCodeProof } from '../../src/methods/recovery-code/recovery-code.client.js';
import { RecoveryCode } from '../../src/methods/recovery-code/recovery-code.entity.js';
import { newRecoveryCode, normalizeRecoveryCode } from '../../src/methods/recovery-code/recovery-code.js';
import { AccountFactors } from '../../src/users/account-factors.service.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { mfaTicket, proveSecondFactor } from '../support/second-step.js';
import { createCodes } from './recovery-code.ceremony.js';

describe('recovery codes', () => {
  let booted: Booted;
  let issuer: string;
  beforeAll(async () => {
    booted = await boot();
    [issuer = ''] = booted.app.get(IssuerRegistry).names;
  });
  afterAll(() => booted.close());
  afterEach(async () => {
    await booted.db.sql`DELETE FROM recovery_codes`;
    await booted.db.sql`DELETE FROM login_failures`;
    await booted.db.manager.updateAll(User, { mfaSince: null });
  });

  const proof = {
    method: 'test',
    at: new Date(),
    amr: ['pwd', 'otp', 'mfa'],
    bound: false,
    signIn: true,
  } as const;
  const me = (more: object = {}) =>
    client(booted.origin, as({ id: 'bob', roles: ['editor'], proofs: [proof], ...more }));
  const prove = async (code: string, userId = 'bob') => {
    const ticket = await mfaTicket(booted, userId, issuer);
    const response = await proveSecondFactor(booted.origin, ticket, recoveryCodeProof(code));
    return [response.status, ((await response.json()) as { code?: string }).code];
  };

  it('shows ten different codes once, and the number of unused ones afterwards', async () => {
    await booted.db.manager.update(User, { id: 'bob' }, { mfaSince: new Date() });
    const { status, body } = await me().post('/recovery-codes');
    expect(status).toBe(201);
    const { codes } = body as { codes: string[] };
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) expect(code).toMatch(/^[\da-hjkmnp-tv-z]{4}(-[\da-hjkmnp-tv-z]{4}){3}$/);
    expect(await prove(codes[3]!)).toEqual([200, undefined]);
    expect((await me().get('/recovery-codes')).body).toEqual({ unused: 9, createdAt: expect.any(String) });
    const stored = JSON.stringify(await booted.db.manager.find(RecoveryCode));
    for (const code of codes) expect(stored).not.toContain(normalizeRecoveryCode(code));
  });

  it('accepts a code as people type it', () => {
    const code = newRecoveryCode();
    const canonical = code.replaceAll('-', '');
    for (const typed of [code, canonical, code.toUpperCase(), ` ${code.replaceAll('-', ' ')} `])
      expect(normalizeRecoveryCode(typed)).toBe(canonical);
    expect(normalizeRecoveryCode('oOiI-lL00-0000-0000')).toBe('0011110000000000');
    for (const typed of [
      '',
      canonical.slice(1),
      `${canonical}0`,
      canonical.replace(/.$/, 'u'),
      'é'.repeat(16),
    ])
      expect(normalizeRecoveryCode(typed)).toBeUndefined();
  });

  it('needs an account with a second factor', async () => {
    const { status, body } = await me().post('/recovery-codes');
    expect([status, body.code]).toEqual([409, 'no_second_factor']);
  });

  it('are removed with the last second factor', async () => {
    const [code = ''] = await createCodes(booted, 'bob');
    await booted.db.transaction((manager) =>
      booted.app.get(AccountFactors, { strict: false }).changed(manager, 'bob'),
    );
    expect(await booted.db.manager.countBy(RecoveryCode, { userId: 'bob' })).toBe(0);
    expect(await prove(code)).toEqual([422, 'invalid_body']);
  });

  describe('attacks', () => {
    it('a code works once', async () => {
      const [code = ''] = await createCodes(booted, 'bob');
      expect(await prove(code)).toEqual([200, undefined]);
      expect(await prove(code)).toEqual([401, 'invalid_factor']);
      expect(await prove(code.toUpperCase())).toEqual([401, 'invalid_factor']);
    });

    it('one of 20 concurrent requests with the same code succeeds', async () => {
      const [code = ''] = await createCodes(booted, 'bob');
      const results = await Promise.all(Array.from({ length: 20 }, () => prove(code)));
      expect(results.filter(([status]) => status === 200)).toHaveLength(1);
    });

    it('a new set replaces the codes before', async () => {
      const [before = ''] = await createCodes(booted, 'bob');
      const [after = ''] = await createCodes(booted, 'bob');
      expect(await prove(before)).toEqual([401, 'invalid_factor']);
      expect(await prove(after)).toEqual([200, undefined]);
    });

    it("another account's code is rejected", async () => {
      const [code = ''] = await createCodes(booted, 'bob');
      await createCodes(booted, 'carol');
      expect(await prove(code, 'carol')).toEqual([401, 'invalid_factor']);
      expect(await prove(code)).toEqual([200, undefined]);
    });

    it('a sign-in that is not recent creates no codes', async () => {
      await createCodes(booted, 'bob');
      const before = await booted.db.manager.find(RecoveryCode, { order: { id: 'ASC' } });
      const old = { ...proof, at: new Date(Date.now() - 301_000) };
      const { status, body } = await me({ proofs: [old] }).post('/recovery-codes');
      expect([status, body.code]).toEqual([403, 'reauthentication_required']);
      expect(await booted.db.manager.find(RecoveryCode, { order: { id: 'ASC' } })).toEqual(before);
    });

    it('six wrong codes block further ones, also the correct one', async () => {
      const [code = ''] = await createCodes(booted, 'bob');
      const statuses: unknown[] = [];
      for (let i = 0; i < 6; i++) statuses.push((await prove(newRecoveryCode()))[0]);
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
      expect(await prove(code)).toEqual([429, 'too_many_attempts']);
    });
  });
});
