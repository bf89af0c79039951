import type { Ceremony } from '../support/contracts.js';
import { JsonBrowser, addPasskey, authenticatorFor } from './passkey.harness.js';

export const ceremony: Ceremony = async (running, userId, issuer) => {
  const authenticator = authenticatorFor(running);
  await addPasskey(running, userId, authenticator);
  const browser = new JsonBrowser(running.origin);
  const options = await browser.post('/auth/passkey/options', {});
  const credential = authenticator.get((await options.json()) as never);
  return browser.post('/auth/passkey', { credential, as: issuer });
};
