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

/** A key for each accepted algorithm, and how it signs. */
export const ALGORITHMS = {
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
  /** The default is ES256. */
  readonly kind?: keyof typeof ALGORITHMS;
  /** Replaces members of a valid header; undefined removes a member. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly accessToken?: string;
  /** Replaces the signature. */
  readonly signature?: string;
}

export const encode = (part: object | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** Signs any text, as an attacker could. */
export function signed(input: string, key: KeyObject, kind: keyof typeof ALGORITHMS = 'ES256'): string {
  const { hash, options } = ALGORITHMS[kind];
  const signature = sign(hash, Buffer.from(input), { key, ...options });
  return `${input}.${signature.toString('base64url')}`;
}

/** Creates a proof that is valid except for the given parts. */
export function forgeProof({ key, kind = 'ES256', header, claims, accessToken, signature }: Forgery): string {
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

/** The order of P-256. If (r, s) is a signature, (r, order - s) is one of the same text. */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Replaces an ECDSA signature with the second valid one. */
export function withSecondSignature(proof: string): string {
  const [head, payload, signature = ''] = proof.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const s = P256_ORDER - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `${head}.${payload}.${other.toString('base64url')}`;
}
