import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import type { SoftwareAuthenticator } from '../../src/methods/passkey/passkey.client.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';
import { JsonBrowser, addPasskey, authenticatorFor } from './passkey.harness.js';

describe('passkeys in two processes', () => {
  let processes: Processes;
  let authenticator: SoftwareAuthenticator;
  let issuer: string;
  beforeAll(async () => {
    processes = await startProcesses(2);
    authenticator = authenticatorFor(processes);
    await addPasskey({ ...processes, origin: processes.origins[0]! }, 'bob', authenticator);
    [issuer] = processes.app.get(IssuerRegistry, { strict: false }).names as [string];
  });
  afterAll(() => processes.stop());

  it('a challenge of one process is used once in both', async () => {
    const make = async () => {
      const browser = new JsonBrowser(processes.origins[0]!);
      const options = await (await browser.post('/auth/passkey/options', {})).json();
      return { credential: authenticator.get(options as never), cookie: browser.cookie('passkey')! };
    };
    const use = async (origin: string, { credential, cookie }: Awaited<ReturnType<typeof make>>) => {
      const browser = new JsonBrowser(origin);
      browser.setCookie('passkey', cookie);
      return (await browser.post('/auth/passkey', { credential, as: issuer })).status === 200;
    };
    expect(await race({ origins: processes.origins, rounds: 20, make, use })).toEqual([]);
  });
});
