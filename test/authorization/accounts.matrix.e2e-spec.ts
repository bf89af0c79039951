import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { User } from '../../src/users/user.entity.js';
import { newAccount, signedInAs } from '../accounts/accounts.js';
import { boot, type Booted, type TestResponse } from '../support/app.js';
import { DIMENSIONS, PROOFS, decide, matrixTable, type Cell, type Outcome } from './accounts.matrix.js';

describe('the matrix of accounts', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  async function accountOf({ account }: Cell): Promise<{ caller: string; id: string }> {
    const caller = (await newAccount(booted.db)).id;
    await booted.db.manager.update(User, { id: caller }, { mfaSince: new Date() });
    if (account === 'own') return { caller, id: caller };
    const { id } = await newAccount(booted.db, {
      tenantId: account === "other tenant's" ? 'globex' : 'acme',
    });
    await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
    if (account === 'machine') await booted.db.manager.update(User, { id }, { kind: 'client' });
    return { caller, id };
  }

  function sendRequest({ action, role, proof }: Cell, caller: string, id: string): Promise<TestResponse> {
    const me = signedInAs(booted, caller, { roles: [role], proofs: [PROOFS[proof](Date.now())] });
    switch (action) {
      case 'list':
        return me.get('/accounts?limit=100');
      case 'invite':
        return me.post('/invitations', { email: `${randomUUID()}@new.example`, role: 'viewer' });
      case 'disable':
        return me.send('PATCH', `/accounts/${id}`, { body: { disabled: true } });
      case 'recover':
        return me.post(`/accounts/${id}/recovery`);
      case 'give a role':
        return me.send('PATCH', `/accounts/${id}`, { body: { roles: ['editor'] } });
    }
  }

  function outcomeOf({ action }: Cell, id: string, { status, body }: TestResponse): Outcome {
    if (status >= 300) return status as Outcome;
    if (action !== 'list') return 'allowed';
    return (body.items as { id: string }[]).some((item) => item.id === id) ? 'allowed' : 404;
  }

  for (const role of DIMENSIONS.role)
    for (const action of DIMENSIONS.action)
      it(`${role}: ${action}`, async () => {
        const wrong: string[] = [];
        for (const proof of DIMENSIONS.proof)
          for (const account of DIMENSIONS.account) {
            await booted.db.sql`DELETE FROM login_failures`;
            const cell = { action, role, proof, account };
            const { caller, id } = await accountOf(cell);
            const before = await booted.db.manager.findOneByOrFail(User, { id });
            const expected = decide(cell);
            const outcome = outcomeOf(cell, id, await sendRequest(cell, caller, id));
            const values = Object.values(cell).join(' / ');
            if (outcome !== expected.outcome)
              wrong.push(`${values}: ${outcome}, not ${expected.outcome} (${expected.because})`);
            if (outcome !== 'allowed')
              expect(await booted.db.manager.findOneByOrFail(User, { id })).toEqual(before);
            // The list has one page.
            await booted.db.manager.delete(User, { id });
            await booted.db.manager.delete(User, { id: caller });
          }
        expect(wrong).toEqual([]);
      });

  it('is the table of the documentation', async () => {
    expect(await readFile('docs/reference/policy.md', 'utf8')).toContain(matrixTable());
  });
});
