/** The public keys of proofs (JWK, RFC 7517). Each proof carries its own key, so anyone may have created it. */
import { constants, hash, verify as verifyCallback, type KeyObject, type SigningOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { importStrongJwk, isSmallOrderPoint } from '../../crypto/public-keys.js';

const verifyAsync = promisify(verifyCallback);

/**
 * The algorithms of the FAPI 2.0 Security Profile, section 5.4.1. All are asymmetric. EdDSA is the older name of Ed25519
 * (RFC 9864).
 */
export const PROOF_ALGORITHMS = ['ES256', 'Ed25519', 'EdDSA', 'PS256'] as const;
export type ProofAlgorithm = (typeof PROOF_ALGORITHMS)[number];

/** The keys and the signatures of one algorithm. */
interface AlgorithmDefinition {
  readonly kty: string;
  readonly crv?: string;
  /** The JWK members that hold the key's numbers (RFC 7518 section 6), each with its validity check. */
  readonly numbers: Readonly<Record<string, (bytes: Buffer) => boolean>>;
  readonly hash: string | undefined;
  readonly options: SigningOptions;
}

const isCoordinate = (bytes: Buffer) => bytes.length === 32;

/** 2048 to 4096 bits: verification with longer keys takes too long. */
const isModulus = (bytes: Buffer) => bytes.length >= 256 && bytes.length <= 512 && bytes[0] !== 0;
/** 65537 only: with the exponent 1 anyone can sign, and a long exponent takes too long. */
const isExponent = (bytes: Buffer) => bytes.toString('hex') === '010001';

const ED25519: AlgorithmDefinition = {
  kty: 'OKP',
  crv: 'Ed25519',
  numbers: { x: (bytes) => isCoordinate(bytes) && !isSmallOrderPoint(bytes) },
  hash: undefined,
  options: {},
};

const DEFINITIONS: Readonly<Record<ProofAlgorithm, AlgorithmDefinition>> = {
  ES256: {
    kty: 'EC',
    crv: 'P-256',
    numbers: { x: isCoordinate, y: isCoordinate },
    hash: 'sha256',
    // JWS uses the fixed-length form (RFC 7518 section 3.4), not DER.
    options: { dsaEncoding: 'ieee-p1363' },
  },
  Ed25519: ED25519,
  EdDSA: ED25519,
  PS256: {
    kty: 'RSA',
    numbers: { e: isExponent, n: isModulus },
    hash: 'sha256',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  },
};

/** Members of a public JWK that are accepted and ignored (RFC 7517 section 4). */
const IGNORED_MEMBERS = ['alg', 'ext', 'key_ops', 'kid', 'use'];

/** The key of a proof. Its form is valid; its numbers are not checked yet. */
export interface ProofKey {
  readonly algorithm: ProofAlgorithm;
  /** The required members of the JWK, in alphabetical order (RFC 7638 section 3.2). */
  readonly jwk: Readonly<Record<string, string>>;
  /** RFC 7638, SHA-256: the `cnf.jkt` of access tokens that are bound to this key. */
  readonly thumbprint: string;
}

/**
 * Parses the header members `alg` and `jwk` of a proof. A JWK with private or unknown members is rejected, so that a client
 * which leaks its private key notices at once.
 *
 * @returns undefined if `jwk` is not a canonical public key of that algorithm, or if the key is too weak
 */
export function parseProofKey(alg: unknown, jwk: unknown): ProofKey | undefined {
  const algorithm = PROOF_ALGORITHMS.find((each) => each === alg);
  if (!algorithm || typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, crv, numbers } = DEFINITIONS[algorithm];
  const given = jwk as Readonly<Record<string, unknown>>;
  const names = Object.keys(numbers);
  if (given['kty'] !== kty || given['crv'] !== crv) return undefined;
  if (!names.every((name) => isNumber(given[name], numbers[name]!))) return undefined;
  const accepted = ['kty', 'crv', ...names, ...IGNORED_MEMBERS];
  if (!Object.keys(given).every((name) => accepted.includes(name))) return undefined;
  const required = ['kty', ...(crv ? ['crv'] : []), ...names].sort();
  const members = Object.fromEntries(required.map((name) => [name, given[name] as string]));
  const thumbprint = hash('sha256', JSON.stringify(members), 'base64url');
  return { algorithm, jwk: members, thumbprint };
}

function isNumber(value: unknown, isValid: (bytes: Buffer) => boolean): boolean {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.from(value, 'base64url');
  return bytes.toString('base64url') === value && isValid(bytes);
}

/** @returns undefined if the point is not on its curve or of small order, or if the modulus has fewer than 2048 bits */
export const importProofKey = ({ jwk }: ProofKey): KeyObject | undefined => importStrongJwk(jwk);

/** Runs on libuv's thread pool, so that other requests do not wait. */
export function verifySignature(
  algorithm: ProofAlgorithm,
  key: KeyObject,
  signingInput: string,
  signature: Buffer,
): Promise<boolean> {
  const { hash, options } = DEFINITIONS[algorithm];
  return verifyAsync(hash, Buffer.from(signingInput), { key, ...options }, signature);
}
