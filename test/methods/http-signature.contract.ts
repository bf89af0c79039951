import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { withHttpSignature } from '../../src/methods/http-signature/http-signature.client.js';
import { SignatureKey } from '../../src/methods/http-signature/http-signature.entity.js';
import { HttpSignatureGuard } from '../../src/methods/http-signature/http-signature.guard.js';
import { importPublicJwk } from '../../src/methods/http-signature/http-signature.algorithms.js';
import type { Contract, Running } from '../method.contract.js';

/** Stores a proved key of an account, without an HTTP request. */
export async function createSignatureKey(
  { db }: Pick<Running, 'db'>,
  userId: string,
  pair: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ed25519'),
  changes: Partial<SignatureKey> = {},
): Promise<{ keyid: string; key: KeyObject }> {
  const now = new Date();
  const id = randomUUID();
  const publicJwk = pair.publicKey.export({ format: 'jwk' }) as Record<string, string>;
  await db.manager.insert(SignatureKey, {
    id,
    userId,
    name: 'test',
    algorithm: importPublicJwk(publicJwk)!.algorithm,
    publicJwk,
    challenge: '',
    challengeUntil: now,
    provedAt: now,
    scopes: null,
    createdAt: now,
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
    ...changes,
  });
  return { keyid: id, key: pair.privateKey };
}

const input = (parameters: string) => `sig=("@method" "@authority" "@path" "@query")${parameters}`;
const now = Math.floor(Date.now() / 1000);
const parameters = `;created=${now};keyid="${randomUUID()}";nonce="n";tag="auth-atlas"`;
const Signature = `sig=:${'A'.repeat(86)}==:`;

/** As many components and signatures as are accepted, in two headers that are almost as long as they may be. */
function costlyHeaders(): Record<string, string> {
  const covered = Array.from({ length: 12 }, (_, i) => `"@query-param";name="p${i}"`).join(' ');
  const own = input(parameters).replace('"@query"', `"@query" ${covered}`);
  const labels = Array.from({ length: 7 }, (_, i) => `l${i}`);
  const components = Array.from({ length: 16 }, (_, i) => `"x-${i}";key="abcdefg"`).join(' ');
  return {
    'Signature-Input': [own, ...labels.map((label) => `${label}=(${components})`)].join(', '),
    Signature: [Signature, ...labels.map((label) => `${label}=:${'A'.repeat(540)}:`)].join(', '),
  };
}

export const contract: Contract = {
  name: 'http-signature',
  challenge: 'Signature realm="auth-atlas"',
  code: 'invalid_http_signature',
  guard: HttpSignatureGuard,
  bound: true,
  once: true,
  header: 'Signature-Input',
  empty: { 'Signature-Input': '', Signature: '' },
  malformed: [
    { Signature },
    { 'Signature-Input': input(parameters) },
    { 'Signature-Input': input('').replace('sig=', ''), Signature },
    { 'Signature-Input': input(parameters), Signature: 'sig="AA=="' },
    { 'Signature-Input': input(parameters), Signature: 'other=:AA==:' },
    { 'Signature-Input': input(''), Signature },
    { 'Signature-Input': input(`${parameters};created=1`), Signature },
  ],
  costly: {
    target: `/demo/http-signature?${Array.from({ length: 100 }, (_, i) => `p${i}=${'%41'.repeat(24)}`).join('&')}`,
    headers: costlyHeaders(),
  },
  unknown: { 'Signature-Input': input(parameters), Signature },
  issue: async (running, userId) => {
    const { keyid, key } = await createSignatureKey(running, userId);
    const change = async (changes: Partial<SignatureKey>) =>
      void (await running.db.manager.update(SignatureKey, { id: keyid }, changes));
    return {
      sign: withHttpSignature({ keyid, key }),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
