import { SecretBox } from '../../src/crypto/secret-box.js';
import { withSigV4 } from '../../src/methods/sigv4/sigv4.client.js';
import { AccessKey } from '../../src/methods/sigv4/sigv4.entity.js';
import { SigV4Guard } from '../../src/methods/sigv4/sigv4.guard.js';
import { SigV4Module } from '../../src/methods/sigv4/sigv4.module.js';
import { formatTime, newKeyId, newSecret } from '../../src/methods/sigv4/sigv4.js';
import type { Contract } from '../method.contract.js';

const now = formatTime(new Date());
const credential = `${newKeyId()}/${now.slice(0, 8)}/atlas-1/auth-atlas/aws4_request`;
const signedHeaders = 'SignedHeaders=host;x-amz-date';
const signature = `Signature=${'0'.repeat(64)}`;
const saying = (parameters: string, date = now) => ({
  Authorization: `AWS4-HMAC-SHA256 ${parameters}`,
  'X-Amz-Date': date,
});

export const contract: Contract = {
  name: 'sigv4',
  challenge: 'AWS4-HMAC-SHA256 realm="auth-atlas", region="atlas-1", service="auth-atlas"',
  code: 'invalid_sigv4',
  guard: SigV4Guard,
  bound: true,
  header: 'Authorization',
  empty: { Authorization: 'AWS4-HMAC-SHA256' },
  malformed: [
    saying(`Credential=${credential}, ${signedHeaders}`),
    saying(`${signedHeaders}, Credential=${credential}, ${signature}`),
    saying(`Credential=${credential}, ${signedHeaders}, Signature=${'0'.repeat(63)}`),
    saying(`Credential=${credential}, SignedHeaders=x-amz-date;host, ${signature}`),
    saying(`Credential=${credential.replace('aws4_request', 'aws5')}, ${signedHeaders}, ${signature}`),
    saying(`Credential=${credential}, ${signedHeaders}, ${signature}`, 'now'),
    { Authorization: saying(`Credential=${credential}, ${signedHeaders}, ${signature}`).Authorization },
  ],
  costly: {
    target: `/demo/sigv4?${Array.from({ length: 100 }, (_, i) => `${i}=${'%41'.repeat(45)}`).join('&')}`,
    headers: saying(`Credential=${credential}, ${signedHeaders}, ${signature}`),
  },
  unknown: saying(`Credential=${credential}, ${signedHeaders}, ${signature}`),
  issue: async ({ app, db }, userId) => {
    const [id, secret] = [newKeyId(), newSecret()];
    const sealed = app.select(SigV4Module).get(SecretBox, { strict: true }).seal(secret, id);
    await db.manager.insert(AccessKey, { id, userId, name: 'contract', sealed, createdAt: new Date() });
    const change = async (changes: Partial<AccessKey>) =>
      void (await db.manager.update(AccessKey, { id }, changes));
    return {
      sign: withSigV4({ id, secret }),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
