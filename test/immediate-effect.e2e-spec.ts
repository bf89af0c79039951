import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { User } from '../src/users/user.entity.js';
import { allContracts, send } from './support/contracts.js';
import type { Credential, Running } from './method.contract.js';
import { startProcesses, type Processes } from './support/processes.js';

/** Another user's draft: an auditor of the tenant may read it, a viewer may not. */
const DRAFT = '/documents/alice-draft-confidential';

const contracts = await allContracts();

/**
 * Two servers share a database, and each may cache what it has verified. A change by a third process (here the test) must take effect
 * in both on the next request, for every method.
 */
describe('a change by an administrator takes effect at once in every process', () => {
  let processes: Processes;
  let issuing: Running;
  beforeAll(async () => {
    processes = await startProcesses(2);
    issuing = { ...processes, origin: processes.origins[0]! };
  });
  afterAll(() => processes.stop());

  const change = (changes: Partial<User>) => processes.db.manager.update(User, { id: 'carol' }, changes);

  describe.each(contracts)('$name', ({ name, issue, code }) => {
    /** The response of each server to a request with the credential. */
    const sendToAll = (credential: Credential, path = `/demo/${name}`) =>
      Promise.all(
        processes.origins.map(async (origin) => {
          const response = await send(credential, origin + path);
          return { status: response.status, body: (await response.json()) as Record<string, unknown> };
        }),
      );
    const carol = { status: 200, body: expect.objectContaining({ id: 'carol' }) };
    const rejected = { status: 401, body: expect.objectContaining({ code }) };

    /** A credential of the first server, used twice at both, so that both have cached it. */
    const issueAndUse = async () => {
      const credential = await issue(issuing, 'carol');
      for (let i = 0; i < 2; i++) expect(await sendToAll(credential)).toEqual([carol, carol]);
      return credential;
    };

    it('rejects a revoked credential, and accepts a new one', async () => {
      const credential = await issueAndUse();
      await credential.revoke();
      expect(await sendToAll(credential)).toEqual([rejected, rejected]);
      await issueAndUse();
    });

    it('rejects a disabled account, and accepts it again once enabled', async () => {
      const credential = await issueAndUse();
      await change({ disabledAt: new Date() });
      expect(await sendToAll(credential)).toEqual([rejected, rejected]);
      await change({ disabledAt: null });
      expect(await sendToAll(credential)).toEqual([carol, carol]);
    });

    it('grants and withdraws the permissions of a role', async () => {
      const credential = await issueAndUse();
      const statuses = async () => (await sendToAll(credential, DRAFT)).map(({ status }) => status);
      expect(await statuses()).toEqual([404, 404]);
      await change({ roles: ['auditor'] });
      expect(await statuses()).toEqual([200, 200]);
      await change({ roles: ['viewer'] });
      expect(await statuses()).toEqual([404, 404]);
    });

    it('rejects a credential of a deleted account whose id was used again', async () => {
      const credential = await issueAndUse();
      const { manager } = processes.db;
      const account = await manager.findOneByOrFail(User, { id: 'carol' });
      await manager.delete(User, { id: 'carol' });
      expect(await sendToAll(credential)).toEqual([rejected, rejected]);
      await manager.insert(User, account);
      expect(await sendToAll(credential)).toEqual([rejected, rejected]);
    });
  });
});
