import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { withBasic } from '../../src/methods/basic/basic.client.js';
import { BasicGuard } from '../../src/methods/basic/basic.guard.js';
import { formatBasic } from '../../src/methods/basic/basic.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { Password } from '../../src/passwords/password.entity.js';
import type { Contract } from '../method.contract.js';

export const contract: Contract = {
  name: 'basic',
  managesCredentials: true,
  rememberedByBrowsers: true,
  challenge: 'Basic realm="auth-atlas", charset="UTF-8"',
  code: 'invalid_credentials',
  guard: BasicGuard,
  header: 'Authorization',
  empty: { Authorization: 'Basic' },
  malformed: [
    { Authorization: 'Basic %%%' },
    { Authorization: `Basic ${Buffer.from('no colon').toString('base64')}` },
  ],
  costly: { headers: { Authorization: `Basic ${Buffer.from('é'.repeat(5_600)).toString('base64')}` } },
  unknown: { Authorization: formatBasic({ username: 'nobody', password: DEMO_PASSWORD }) },
  issue: async ({ db }, userId) => {
    const hash = await new PasswordHashing().hash(DEMO_PASSWORD);
    await db.manager.save(Password, { userId, hash, changedAt: new Date() });
    return {
      sign: withBasic(userId, DEMO_PASSWORD),
      revoke: async () => void (await db.manager.delete(Password, { userId })),
    };
  },
};
