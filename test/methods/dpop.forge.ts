import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  type KeyObject,
  type SigningOptions,
} from 'node:crypto';
import { accessTokenHash } from '../../src/methods/dpop/dpop.js';

/** Keys of each kind that is taken, and how they sign. */
export const KINDS = {
  ES256: {
    key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    hash: 'sha256',
    options: { dsaEncoding: 'ieee-p1363' },
  },
  Ed25519: { key: generateKeyPairSync('ed25519').privateKey, hash: undefined, options: {} },
  EdDSA: { key: generateKeyPairSync('ed25519').privateKey, hash: undefined, options: {} },
  PS256: {
    key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    hash: 'sha256',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  },
} as const satisfies Record<string, { key: KeyObject; hash: string | undefined; options: SigningOptions }>;

export const publicJwk = (key: KeyObject) =>
  createPublicKey(key).export({ format: 'jwk' }) as Record<string, string>;

export interface Forgery {
  readonly key: KeyObject;
  /** What it is signed with, as one of {@link KINDS} does; ES256 where it is not said. */
  readonly kind?: keyof typeof KINDS;
  /** Over what a header has; undefined leaves a member out. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly accessToken?: string;
  /** In place of the signature. */
  readonly signature?: string;
}

export const encode = (part: object | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** Signs any text, as an attacker who keeps to no rule. */
export function signed(input: string, key: KeyObject, kind: keyof typeof KINDS = 'ES256'): string {
  const { hash, options } = KINDS[kind];
  const signature = sign(hash, Buffer.from(input), { key, ...options });
  return `${input}.${signature.toString('base64url')}`;
}

/** A proof that is good but for what is said otherwise. */
export function forge({ key, kind = 'ES256', header, claims, accessToken, signature }: Forgery): string {
  const head = { typ: 'dpop+jwt', alg: kind, jwk: publicJwk(key), ...header };
  const payload = {
    jti: randomUUID(),
    htm: 'GET',
    htu: 'https://api.example.com/demo/dpop',
    iat: Math.floor(Date.now() / 1000),
    ...(accessToken && { ath: accessTokenHash(accessToken) }),
    ...claims,
  };
  const input = `${encode(head)}.${encode(payload)}`;
  return signature === undefined ? signed(input, key, kind) : `${input}.${signature}`;
}

/** The order of the curve P-256: with (r, s), (r, n - s) signs the same. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature that an ECDSA signature is as good as. */
export function otherSignature(proof: string): string {
  const [head, payload, signature = ''] = proof.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const s = N - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `${head}.${payload}.${other.toString('base64url')}`;
}
