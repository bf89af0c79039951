import { Settings } from '../../src/config/settings.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { withHmac } from '../../src/methods/hmac/hmac.client.js';
import { HmacKey } from '../../src/methods/hmac/hmac.entity.js';
import { HmacGuard } from '../../src/methods/hmac/hmac.guard.js';
import { HmacModule } from '../../src/methods/hmac/hmac.module.js';
import { formatAuthorization, newKeyId, newSecret } from '../../src/methods/hmac/hmac.js';
import type { Contract } from '../method.contract.js';

const unknownKey = formatAuthorization({
  id: newKeyId(),
  timestamp: Math.floor(Date.now() / 1000).toString(),
  nonce: 'neverUsedBefore0',
  headers: [],
  signature: '0'.repeat(64),
});

export const contract: Contract = {
  name: 'hmac',
  challenge: 'HMAC-SHA256 realm="auth-atlas", audience="…"',
  code: 'invalid_hmac',
  guard: HmacGuard,
  bound: true,
  once: true,
  header: 'Authorization',
  empty: { Authorization: 'HMAC-SHA256' },
  malformed: [
    'HMAC-SHA256,',
    'HMAC-SHA256 x',
    unknownKey.slice(0, -1),
    `${unknownKey} `,
    `${unknownKey}, ${unknownKey}`,
    unknownKey.replaceAll('"', ''),
    unknownKey.replace(', nonce="neverUsedBefore0"', ''),
    unknownKey.replace(', ', ',  '),
    unknownKey.replace('headers=', 'algorithm="none", headers='),
  ].map((value) => ({ Authorization: value })),
  costly: {
    target: `/demo/hmac?${'%41'.repeat(4_800)}`,
    headers: { Authorization: unknownKey },
  },
  unknown: { Authorization: unknownKey },
  issue: async ({ app, db }, userId) => {
    const [id, secret] = [newKeyId(), newSecret()];
    const sealed = app.select(HmacModule).get(SecretBox, { strict: true }).seal(secret, id);
    await db.manager.insert(HmacKey, { id, userId, name: 'contract', sealed, createdAt: new Date() });
    const change = async (changes: Partial<HmacKey>) =>
      void (await db.manager.update(HmacKey, { id }, changes));
    return {
      sign: withHmac({ id, secret, audience: app.get(Settings).publicUrl }),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
