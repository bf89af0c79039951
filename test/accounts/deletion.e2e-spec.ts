import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { AccountTokens } from '../../src/accounts/account-tokens.service.js';
import { DeletionService } from '../../src/accounts/deletion.service.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Document } from '../../src/documents/document.entity.js';
import { AccountRemoval } from '../../src/users/account-removal.service.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { allContracts, send } from '../support/contracts.js';
import { INVALID, codeOf, newAccount, signedInAs } from './accounts.js';
import { mailedToken, mailsTo } from './mails.js';

const contracts = await allContracts();
const DAY_MS = 24 * 60 * 60_000;

describe('the deletion of an account', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  let id: string;
  let address: string;
  beforeEach(async () => ({ id, address } = await newAccount(booted.db)));

  const request = (account = id, more = {}) => signedInAs(booted, account, more).send('DELETE', '/account');
  const cancel = (token: string) => client(booted.origin).post('/auth/account-deletion/cancel', { token });
  const row = (account = id) => booted.db.manager.findOneBy(User, { id: account });
  const endGracePeriod = (accountId = id) =>
    booted.db.manager.update(AccountToken, { accountId }, { expiresAt: new Date(Date.now() - 1) });
  const cleanUp = async () => {
    // The order of the hourly runs is not fixed.
    await booted.app.get(AccountTokens, { strict: false }).cleanUp();
    await booted.app.get(DeletionService, { strict: false }).cleanUp();
  };

  it('disables it at once, and deletes it after 14 days', async () => {
    const before = Date.now();
    const { status, body } = await request();
    expect(status).toBe(202);
    expect(new Date(body.deletesAt).getTime() - before).toBeGreaterThanOrEqual(14 * DAY_MS);
    expect(await row()).toMatchObject({ disabledAt: expect.any(Date), epoch: 1 });
    const [mail] = await mailsTo(booted, address);
    expect(mail!.text).toMatch(/\n\nhttp:\/\/localhost:\d+\/account\/cancel-deletion\?token=[\w-]{43}\n\n/);
    await cleanUp();
    expect(await row()).not.toBeNull();
    await endGracePeriod();
    await cleanUp();
    expect(await row()).toBeNull();
    const events = await booted.db.manager.findBy(AuditEvent, { target: `user:${id}` });
    expect(events.map(({ event, userId }) => [event, userId])).toEqual([
      ['sensitive_delete', id],
      ['sensitive_delete', id],
    ]);
  });

  it('is cancelled by the mailed link, once', async () => {
    await request();
    const token = await mailedToken(booted, address);
    expect((await cancel(token)).status).toBe(204);
    expect(await row()).toMatchObject({ disabledAt: null });
    expect(codeOf(await cancel(token))).toEqual(INVALID);
    await endGracePeriod();
    await cleanUp();
    expect(await row()).not.toBeNull();
  });

  it('gives the documents of the account to an administrator of the tenant', async () => {
    await booted.db.manager.update(Document, { id: 'bob-draft-public' }, { ownerId: id });
    const before = await booted.db.manager.findOneByOrFail(Document, { id: 'bob-draft-public' });
    await request();
    await endGracePeriod();
    await cleanUp();
    expect(await row()).toBeNull();
    const after = await booted.db.manager.findOneByOrFail(Document, { id: before.id });
    expect([after.ownerId, after.version]).toEqual(['alice', before.version + 1]);
    await booted.db.manager.update(Document, { id: before.id }, { ownerId: 'bob' });
  });

  it('does not happen if an administrator enables the account in the meantime', async () => {
    await request();
    await booted.db.manager.update(User, { id }, { disabledAt: null });
    await endGracePeriod();
    await cleanUp();
    expect(await row()).not.toBeNull();
    expect(await booted.db.manager.countBy(AccountToken, { accountId: id })).toBe(0);
  });

  it.each(contracts)('rejects every credential of a deleted account: $name', async ({ issue }) => {
    const other = await boot();
    const credential = await issue(other, 'bob');
    expect((await send(credential, `${other.origin}/me`)).status).toBe(200);
    const [user, successor] = await Promise.all(
      ['bob', 'alice'].map((each) => other.db.manager.findOneByOrFail(User, { id: each })),
    );
    const removal = other.app.get(AccountRemoval, { strict: false });
    await other.db.transaction((manager) => removal.remove(manager, user!, successor!));
    expect((await send(credential, `${other.origin}/me`)).status).toBe(401);
    // The same id again, which the application never assigns.
    await other.db.manager.insert(User, user!);
    expect((await send(credential, `${other.origin}/me`)).status).toBe(401);
    await other.close();
  });

  describe('attacks', () => {
    it('requires a sign-in of the last five minutes', async () => {
      const at = new Date(Date.now() - 6 * 60_000);
      const proof = { method: 'test', at, amr: ['pwd'], bound: false, signIn: true } as const;
      expect(codeOf(await request(id, { proofs: [proof] }))).toEqual([403, 'reauthentication_required']);
      expect(await row()).toMatchObject({ disabledAt: null });
    });

    it('keeps the last administrator of the tenant', async () => {
      expect(codeOf(await request('alice'))).toEqual([409, 'last_admin']);
      expect(await row('alice')).toMatchObject({ disabledAt: null });
    });

    it('is not cancelled after an administrator has disabled the account as well', async () => {
      await request();
      const token = await mailedToken(booted, address);
      await booted.db.manager.update(User, { id }, { disabledAt: new Date(Date.now() + 1) });
      expect(codeOf(await cancel(token))).toEqual(INVALID);
      expect(await row()).toMatchObject({ disabledAt: expect.any(Date) });
    });

    it('is not cancelled after the grace period, or by another token', async () => {
      await client(booted.origin).post('/auth/password-reset', { email: address });
      const reset = await mailedToken(booted, address);
      expect(codeOf(await cancel(reset))).toEqual(INVALID);
      await request();
      const token = await mailedToken(booted, address);
      await endGracePeriod();
      expect(codeOf(await cancel(token))).toEqual(INVALID);
    });

    it('ends a password reset that was requested before', async () => {
      await client(booted.origin).post('/auth/password-reset', { email: address });
      const token = await mailedToken(booted, address);
      await request();
      const body = { token, new_password: 'seventeen purple kettles' };
      expect(codeOf(await client(booted.origin).post('/auth/password-reset/complete', body))).toEqual(
        INVALID,
      );
    });
  });
});
