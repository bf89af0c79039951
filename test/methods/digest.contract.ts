import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { respondToChallenge, withDigest } from '../../src/methods/digest/digest.client.js';
import { DigestCredentials } from '../../src/methods/digest/digest.credentials.service.js';
import { DigestCredential } from '../../src/methods/digest/digest.entity.js';
import { DigestGuard } from '../../src/methods/digest/digest.guard.js';
import { DigestModule } from '../../src/methods/digest/digest.module.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { Password } from '../../src/passwords/password.entity.js';
import type { Contract } from '../method.contract.js';

/** A response to a nonce that the server did not issue. */
const forged = respondToChallenge(
  'bob',
  DEMO_PASSWORD,
  {
    algorithm: 'SHA-256',
    realm: 'auth-atlas',
    nonce: `01234567.${'A'.repeat(64)}`,
    qops: ['auth'],
    userhash: false,
    stale: false,
  },
  { method: 'GET', uri: '/demo/digest' },
);

export const contract: Contract = {
  name: 'digest',
  managesCredentials: true,
  rememberedByBrowsers: true,
  challenge:
    'Digest realm="auth-atlas", qop="auth", algorithm=SHA-256, nonce="…", charset=UTF-8, userhash=true',
  code: 'invalid_digest',
  guard: DigestGuard,
  once: true,
  header: 'Authorization',
  empty: { Authorization: 'Digest' },
  malformed: [
    { Authorization: 'Digest bob' },
    { Authorization: 'Digest username="bob"' },
    { Authorization: `${forged}, nc=00000002` },
    { Authorization: forged.replace('"', '') },
  ],
  costly: {
    headers: { Authorization: forged.replace('"bob"', `"bob", x="${'\\"'.repeat(5_900)}"`) },
  },
  unknown: { Authorization: forged },
  issue: async ({ db, app }, userId) => {
    const changedAt = new Date();
    const hash = await new PasswordHashing().hash(DEMO_PASSWORD);
    await db.manager.save(Password, { userId, hash, changedAt });
    const user = { id: userId, username: userId };
    const row = app.select(DigestModule).get(DigestCredentials).create(user, DEMO_PASSWORD, changedAt);
    await db.manager.upsert(DigestCredential, row, ['userId']);
    return {
      sign: withDigest(userId, DEMO_PASSWORD),
      revoke: async () => void (await db.manager.delete(DigestCredential, { userId })),
    };
  },
};
