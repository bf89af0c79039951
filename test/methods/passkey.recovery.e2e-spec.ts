import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccountFactors } from '../../src/users/account-factors.service.js';
import type { Booted } from '../support/app.js';
import { bootWithPasskeys, holder, passkeysOf } from './passkey.accounts.js';

describe('passkeys', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await bootWithPasskeys()));
  afterAll(() => booted.close());

  it('are removed by the recovery of an account, those of the account only', async () => {
    const [lost, other] = [await holder(booted), await holder(booted)];
    const factors = booted.app.get(AccountFactors, { strict: false });
    await booted.db.transaction((manager) => factors.removeSecondFactors(manager, lost.id));
    expect(await passkeysOf(booted, lost.id)).toEqual([]);
    expect(await passkeysOf(booted, other.id)).toHaveLength(1);
  });
});
