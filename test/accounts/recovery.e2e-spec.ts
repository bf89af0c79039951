import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { AccountTokens } from '../../src/accounts/account-tokens.service.js';
import { RecoveryService } from '../../src/accounts/recovery.service.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import type { AuthMethod, Factor } from '../../src/authentication/method.js';
import type { Principal } from '../../src/authentication/principal.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { AccountFactors } from '../../src/users/account-factors.service.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, testMethod, type Booted } from '../support/app.js';
import { testIssuer } from '../support/test-issuer.js';
import { INVALID, codeOf, newAccount, signedInAs } from './accounts.js';
import { mailedToken, mailsTo } from './mails.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    totp: true;
  }
}

/** A second factor in memory. It takes the place of a removable one in the table of factors. */
@Injectable()
class TestFactor implements Factor {
  readonly enrolled = new Set<string>();
  isEnrolled = async (_manager: object, id: string) => this.enrolled.has(id);
  remove = async (_manager: object, id: string) => void this.enrolled.delete(id);
}
@Module({ providers: [TestFactor], exports: [TestFactor] })
class TestFactorModule {}
const testFactor = { name: 'totp', module: TestFactorModule, factor: TestFactor } satisfies AuthMethod;

describe('the recovery of an account', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ methods: [testFactor, testIssuer, testMethod] })));
  afterAll(() => booted.close());

  let id: string;
  let address: string;
  let admin: string;
  beforeEach(async () => {
    admin = (await newAccount(booted.db, { roles: ['admin'] })).id;
    ({ id, address } = await newAccount(booted.db));
    await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
    factor().enrolled.add(id);
  });

  const factor = () => booted.app.get(TestFactor, { strict: false });
  const by = (account = admin, more: Partial<Principal> = {}) => {
    const amr = ['pwd', 'otp', 'mfa'];
    const proof = { method: 'test', at: new Date(), amr, bound: false, signIn: true } as const;
    return signedInAs(booted, account, { roles: ['admin'], proofs: [proof], ...more });
  };
  const request = (account = id, caller = by()) => caller.post(`/accounts/${account}/recovery`);
  const cancel = (token: string) => client(booted.origin).post('/auth/account-recovery/cancel', { token });
  const row = () => booted.db.manager.findOneByOrFail(User, { id });
  const afterDelay = async () => {
    await booted.db.manager.update(
      AccountToken,
      { accountId: id, purpose: 'recovery' },
      { expiresAt: new Date(Date.now() - 1) },
    );
    await booted.app.get(AccountTokens, { strict: false }).cleanUp();
    await booted.app.get(RecoveryService, { strict: false }).cleanUp();
  };
  const expectUnchanged = async () => {
    expect(await row()).toMatchObject({ mfaSince: expect.any(Date), epoch: 0 });
    expect(factor().enrolled.has(id)).toBe(true);
  };
  const passwordIs = (password: string) =>
    booted.app
      .get(PasswordsService, { strict: false })
      .verify(id, password, '192.0.2.1')
      .then(
        () => true,
        () => false,
      );

  it('mails the holder at once, and removes the second factors after a day', async () => {
    const before = Date.now();
    const { status, body } = await request();
    expect([status, Object.keys(body)]).toEqual([202, ['dueAt']]);
    expect(new Date(body.dueAt).getTime() - before).toBeGreaterThanOrEqual(24 * 60 * 60_000);
    const [mail] = await mailsTo(booted, address);
    expect(mail!.subject).toBe('Auth Atlas: account recovery');
    expect(mail!.text).toMatch(/\/account\/cancel-recovery\?token=[\w-]{43}\n/);
    await booted.app.get(RecoveryService, { strict: false }).cleanUp();
    await expectUnchanged();

    await afterDelay();
    expect(await row()).toMatchObject({ mfaSince: null });
    expect(factor().enrolled.has(id)).toBe(false);
    expect((await row()).epoch).toBeGreaterThan(0);
    expect(await passwordIs(DEMO_PASSWORD)).toBe(false);

    const new_password = 'seventeen purple kettles';
    const [link] = (await mailsTo(booted, address)).filter(({ subject }) =>
      subject.endsWith('reset your password'),
    );
    const [, token] = /token=([\w-]+)/.exec(link!.text)!;
    const reset = await client(booted.origin).post('/auth/password-reset/complete', { token, new_password });
    expect(reset.status).toBe(204);
    expect(await passwordIs(new_password)).toBe(true);
    const events = await booted.db.manager.find(AuditEvent, {
      where: { target: `user:${id}`, userId: admin },
      order: { seq: 'ASC' },
    });
    expect(events.map(({ details }) => details['recovery'])).toEqual(['requested', 'completed']);
  });

  it('is cancelled by the holder', async () => {
    await request();
    const token = await mailedToken(booted, address);
    expect((await cancel(token)).status).toBe(204);
    expect(codeOf(await cancel(token))).toEqual(INVALID);
    await afterDelay();
    await expectUnchanged();
  });

  describe('attacks', () => {
    it('requires a recent second factor, and names it', async () => {
      const at = new Date(Date.now() - 6 * 60_000);
      for (const proof of [
        { at: new Date(), amr: ['pwd'] },
        { at, amr: ['pwd', 'otp', 'mfa'] },
      ]) {
        const caller = by(admin, { proofs: [{ method: 'test', bound: false, signIn: true, ...proof }] });
        expect(codeOf(await request(id, caller))).toEqual([403, 'forbidden']);
      }
      expect(await mailsTo(booted, address)).toEqual([]);
    });

    it('is not started for the own account, one of another tenant or a machine', async () => {
      await booted.db.manager.update(User, { id: admin }, { mfaSince: new Date() });
      expect((await request(admin)).status).toBe(403);
      for (const other of ['mallory', 'acme-machine', 'nobody'])
        expect((await request(other)).status).toBe(404);
    });

    it.each<[string, () => Promise<unknown>]>([
      [
        'administrator was demoted',
        () => booted.db.manager.update(User, { id: admin }, { roles: ['editor'] }),
      ],
      [
        'administrator was disabled',
        () => booted.db.manager.update(User, { id: admin }, { disabledAt: new Date() }),
      ],
      ['account was disabled', () => booted.db.manager.update(User, { id }, { disabledAt: new Date() })],
    ])('ends if the %s in the meantime', async (_, change) => {
      await request();
      await change();
      await afterDelay();
      await expectUnchanged();
    });

    it('is not started without a second factor, or without a verified address', async () => {
      await booted.db.manager.update(User, { id }, { mfaSince: null });
      expect(codeOf(await request())).toEqual([409, 'second_factor_not_set']);
      await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
      await booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null });
      expect(codeOf(await request())).toEqual([409, 'email_not_verified']);
    });

    it('starts the delay again by a second request, whose link cancels it', async () => {
      await request();
      const first = await mailedToken(booted, address);
      await request();
      expect(codeOf(await cancel(first))).toEqual(INVALID);
      expect((await cancel(await mailedToken(booted, address))).status).toBe(204);
    });
  });
});

describe('every installed second factor', () => {
  it('can be removed by a recovery', async () => {
    const booted = await boot();
    const { id } = await newAccount(booted.db);
    const factors = booted.app.get(AccountFactors, { strict: false });
    const { installed } = factors;
    for (const { name, properties, factor } of installed)
      expect([name, typeof factor.remove]).toEqual([name, properties.second ? 'function' : 'undefined']);
    await booted.db.transaction((manager) => factors.removeSecondFactors(manager, id));
    expect((await factors.enrolled(id)).filter(({ properties }) => properties.second)).toEqual([]);
    await booted.close();
  });
});
