import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { User } from '../src/users/user.entity.js';
import { allContracts, send } from './support/contracts.js';
import type { Credential, Running } from './method.contract.js';
import { startProcesses, type Processes } from './support/processes.js';

/** A draft of somebody else's: an auditor of the tenant may read it, a viewer does not see it. */
const DRAFT = '/documents/alice-draft-confidential';

const contracts = await allContracts();

/**
 * Two servers share a database, and each may remember what it has verified. What a third process (here the test)
 * writes must be obeyed by both on the very next request, by every method: nothing that was remembered may outlive it.
 */
describe('what an administrator changes has its effect at once, on every process', () => {
  let processes: Processes;
  let issuing: Running;
  beforeAll(async () => {
    processes = await startProcesses(2);
    issuing = { ...processes, origin: processes.origins[0]! };
  });
  afterAll(() => processes.stop());

  const change = (changes: Partial<User>) => processes.db.manager.update(User, { id: 'carol' }, changes);

  describe.each(contracts)('$name', ({ name, issue, code }) => {
    /** What each server answers to the holder of the credential. */
    const ask = (credential: Credential, path = `/demo/${name}`) =>
      Promise.all(
        processes.origins.map(async (origin) => {
          const response = await send(credential, origin + path);
          return { status: response.status, body: (await response.json()) as Record<string, unknown> };
        }),
      );
    const carol = { status: 200, body: expect.objectContaining({ id: 'carol' }) };
    const refused = { status: 401, body: expect.objectContaining({ code }) };

    /** Issued by the first server, and used at both until both have every reason to remember it. */
    const remembered = async () => {
      const credential = await issue(issuing, 'carol');
      for (let i = 0; i < 2; i++) expect(await ask(credential)).toEqual([carol, carol]);
      return credential;
    };

    it('a revoked credential is refused, and a new one is good', async () => {
      const credential = await remembered();
      await credential.revoke();
      expect(await ask(credential)).toEqual([refused, refused]);
      await remembered();
    });

    it('a disabled account is refused, and welcome again when it is enabled', async () => {
      const credential = await remembered();
      await change({ disabledAt: new Date() });
      expect(await ask(credential)).toEqual([refused, refused]);
      await change({ disabledAt: null });
      expect(await ask(credential)).toEqual([carol, carol]);
    });

    it('a role that is given opens what it may open, and one that is taken closes it', async () => {
      const credential = await remembered();
      const statuses = async () => (await ask(credential, DRAFT)).map(({ status }) => status);
      expect(await statuses()).toEqual([404, 404]);
      await change({ roles: ['auditor'] });
      expect(await statuses()).toEqual([200, 200]);
      await change({ roles: ['viewer'] });
      expect(await statuses()).toEqual([404, 404]);
    });

    it('ACCOUNT-15: what an account had is nothing to another that gets its id', async () => {
      const credential = await remembered();
      const { manager } = processes.db;
      const account = await manager.findOneByOrFail(User, { id: 'carol' });
      await manager.delete(User, { id: 'carol' });
      expect(await ask(credential)).toEqual([refused, refused]);
      await manager.insert(User, account);
      expect(await ask(credential)).toEqual([refused, refused]);
    });
  });
});
