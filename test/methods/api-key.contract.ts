import { withApiKey } from '../../src/methods/api-key/api-key.client.js';
import { ApiKey } from '../../src/methods/api-key/api-key.entity.js';
import { ApiKeyGuard } from '../../src/methods/api-key/api-key.guard.js';
import { mintKey, newKeyId } from '../../src/methods/api-key/api-key.js';
import type { Contract } from '../method.contract.js';

const somebodys = mintKey(newKeyId()).key;

export const contract: Contract = {
  name: 'api-key',
  challenge: 'ApiKey realm="auth-atlas"',
  code: 'invalid_api_key',
  guard: ApiKeyGuard,
  header: 'X-API-Key',
  empty: { 'X-API-Key': '' },
  malformed: [
    { 'X-API-Key': 'atlas_' },
    { 'X-API-Key': `${somebodys}x` },
    { 'X-API-Key': ` ${somebodys} ${somebodys}` },
    { Authorization: 'ApiKey' },
    { Authorization: `ApiKey ${somebodys}, ApiKey ${somebodys}` },
  ],
  costly: { headers: { 'X-API-Key': `${somebodys}${'x'.repeat(15_000)}` } },
  unknown: { 'X-API-Key': somebodys },
  issue: async ({ db }, userId) => {
    const id = newKeyId();
    const { key, secretHash } = mintKey(id);
    await db.manager.insert(ApiKey, { id, userId, name: 'contract', secretHash, createdAt: new Date() });
    const change = async (changes: Partial<ApiKey>) =>
      void (await db.manager.update(ApiKey, { id }, changes));
    return {
      sign: withApiKey(key),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
  many: async ({ db }, userId, count) => {
    const minted = Array.from({ length: count }, () => {
      const id = newKeyId();
      return { id, ...mintKey(id) };
    });
    const now = new Date();
    const rows = minted.map(({ id, secretHash }) => ({
      id,
      userId,
      name: 'many',
      secretHash,
      createdAt: now,
      lastUsedAt: now,
    }));
    // SQLite takes 32,766 parameters in a statement.
    for (let from = 0; from < rows.length; from += 2_000)
      await db
        .createQueryBuilder()
        .insert()
        .into(ApiKey)
        .values(rows.slice(from, from + 2_000))
        .updateEntity(false)
        .execute();
    return minted.map(({ key }) => ({ 'X-API-Key': key }));
  },
};
