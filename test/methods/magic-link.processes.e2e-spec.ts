import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from '../../src/authentication/authenticator.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { PendingSignIns } from '../../src/methods/magic-link/magic-link.pending-sign-ins.service.js';
import { User } from '../../src/users/user.entity.js';
import { client } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';

const EMAIL = 'bob@acme.example';

describe('magic-link in two processes', () => {
  let processes: Processes;
  let issuer: string;
  beforeAll(async () => {
    processes = await startProcesses(2);
    const { names } = processes.app.get(IssuerRegistry);
    // A link needs an issuer of cookies.
    issuer = names.find((name) => processes.app.get(Authenticator).strategyOf(name).ambient) ?? names[0]!;
  });
  afterAll(() => processes.stop());

  const make = async () => {
    const { app, db } = processes;
    await db.sql`DELETE FROM login_failures`;
    const pending = app.get(PendingSignIns, { strict: false });
    const user = await db.manager.findOneByOrFail(User, { id: 'bob' });
    return pending.create(pending.mailboxOf('sign-in', EMAIL), user, { issuer });
  };

  it('uses each link once, for whichever of 20 requests comes first', async () => {
    const use = async (origin: string, { token, browser }: Awaited<ReturnType<typeof make>>) => {
      const { status } = await client(origin).send('POST', '/auth/magic-link/redeem', {
        body: new URLSearchParams({ token }).toString(),
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          Cookie: `magic-link=${browser}`,
        },
      });
      return status === 303;
    };
    expect(await race({ origins: processes.origins, rounds: 50, make, use })).toEqual([]);
  });

  it('uses each code once', async () => {
    const use = async (origin: string, { code }: Awaited<ReturnType<typeof make>>) =>
      (await client(origin).post('/auth/magic-link/code', { email: EMAIL, code, as: issuer })).status === 200;
    expect(await race({ origins: processes.origins, rounds: 50, make, use })).toEqual([]);
  });
});
