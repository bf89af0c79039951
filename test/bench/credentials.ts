import type { INestApplication } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { AuthRequest } from '../../src/auth/index.js';
import { ApiKey } from '../../src/methods/api-key/api-key.entity.js';
import { mintKey, newKeyId } from '../../src/methods/api-key/api-key.js';
import { JwtIssuer } from '../../src/methods/jwt/jwt.issuer.js';
import { User } from '../../src/users/index.js';
import { inChunks } from './seed.js';

/** Keys of bob's, each in the database. */
export async function apiKeys(app: INestApplication, count: number): Promise<string[]> {
  const keys: string[] = [];
  await inChunks(app, ApiKey, count, () => {
    const id = newKeyId();
    const { key, secretHash } = mintKey(id);
    keys.push(key);
    const now = new Date();
    return { id, userId: 'bob', name: 'bench', secretHash, createdAt: now, lastUsedAt: now };
  });
  return keys;
}

/** Access tokens of bob's that no server has seen. */
export async function tokens(app: INestApplication, count: number): Promise<string[]> {
  const bob = await app.get(DataSource).manager.findOneByOrFail(User, { id: 'bob' });
  const proof = { method: 'jwt', at: new Date(), amr: ['pwd'], bound: false } as const;
  const made: string[] = [];
  for (let i = 0; i < count; i++) {
    const request = { headers: {} } as AuthRequest;
    const answer = await app.get(JwtIssuer).issue({ ...bob, proofs: [proof] }, request, bob.epoch);
    made.push(answer.access_token);
  }
  return made;
}
