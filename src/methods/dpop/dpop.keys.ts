/** The keys that proofs are signed with: public JWKs (RFC 7517) that come with each proof, so anybody may have made them. */
import {
  constants,
  createHash,
  createPublicKey,
  verify as verifySync,
  type KeyObject,
  type SigningOptions,
} from 'node:crypto';
import { promisify } from 'node:util';

const verifyWith = promisify(verifySync);

/**
 * The algorithms of FAPI 2.0 (Security Profile, section 5.4.1): elliptic curves, and RSA for those who have nothing else, by PSS
 * only. EdDSA is the older name of what RFC 9864 calls Ed25519. None is symmetric: a proof shows what only its maker has.
 */
export const PROOF_ALGORITHMS = ['ES256', 'Ed25519', 'EdDSA', 'PS256'] as const;
export type ProofAlgorithm = (typeof PROOF_ALGORITHMS)[number];

interface Kind {
  /** What its keys are. */
  readonly kty: string;
  readonly crv?: string;
  /** The members that make a key, besides these, and whether a value can be theirs. */
  readonly numbers: Readonly<Record<string, (bytes: Buffer) => boolean>>;
  readonly hash: string | undefined;
  readonly options: SigningOptions;
}

const isCoordinate = (bytes: Buffer) => bytes.length === 32;

/** From 2048 to 4096 bits: what takes a key of any length takes any time. */
const isModulus = (bytes: Buffer) => bytes.length >= 256 && bytes.length <= 512 && bytes[0] !== 0;
/** 65537, as everybody makes them: with 1 everybody can sign, and a long one takes long. */
const isExponent = (bytes: Buffer) => bytes.toString('hex') === '010001';

const ED25519: Kind = {
  kty: 'OKP',
  crv: 'Ed25519',
  numbers: { x: (bytes) => isCoordinate(bytes) && !isEverybodys(bytes) },
  hash: undefined,
  options: {},
};

const KINDS: Readonly<Record<ProofAlgorithm, Kind>> = {
  ES256: {
    kty: 'EC',
    crv: 'P-256',
    numbers: { x: isCoordinate, y: isCoordinate },
    hash: 'sha256',
    // Two numbers one after the other: DER, in which one signature can be written in many ways, has another length.
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

/** What a public key may say of itself besides; nothing is made of it. */
const SAID = ['alg', 'ext', 'key_ops', 'kid', 'use'];

/** A key as it came: of a good form, and nothing is believed of it. */
export interface ProofKey {
  readonly algorithm: ProofAlgorithm;
  /** The members that make the key, in their alphabetical order. */
  readonly jwk: Readonly<Record<string, string>>;
  /** RFC 7638, SHA-256: the `jkt` of the tokens that are bound to it. */
  readonly thumbprint: string;
}

/**
 * Reads the header's `alg` and `jwk`. A member that is not known is refused, and the private ones are not: so nobody
 * sends a private key twice without being told.
 *
 * @returns undefined for what is no public key of that algorithm in its one spelling, or too weak
 */
export function parseProofKey(alg: unknown, jwk: unknown): ProofKey | undefined {
  const algorithm = PROOF_ALGORITHMS.find((each) => each === alg);
  if (!algorithm || typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, crv, numbers } = KINDS[algorithm];
  const given = jwk as Readonly<Record<string, unknown>>;
  const names = Object.keys(numbers);
  if (given['kty'] !== kty || given['crv'] !== crv) return undefined;
  if (!names.every((name) => isNumber(given[name], numbers[name]!))) return undefined;
  const known = ['kty', 'crv', ...names, ...SAID];
  if (!Object.keys(given).every((name) => known.includes(name))) return undefined;
  const members = ['kty', ...(crv ? ['crv'] : []), ...names].sort();
  const own = Object.fromEntries(members.map((name) => [name, given[name] as string]));
  const thumbprint = createHash('sha256').update(JSON.stringify(own)).digest('base64url');
  return { algorithm, jwk: own, thumbprint };
}

function isNumber(value: unknown, fits: (bytes: Buffer) => boolean): boolean {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.from(value, 'base64url');
  return bytes.toString('base64url') === value && fits(bytes);
}

/**
 * The points of small order on Ed25519's curve, without the sign, as they may be written: for these everybody can make
 * signatures, and OpenSSL takes them.
 */
const SMALL_ORDER = [
  '00'.padEnd(64, '0'),
  '01'.padEnd(64, '0'),
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ...['ec', 'ed', 'ee'].map((first) => `${first.padEnd(62, 'f')}7f`),
];

function isEverybodys(bytes: Buffer): boolean {
  const point = Buffer.from(bytes);
  point[31]! &= 0x7f;
  return SMALL_ORDER.includes(point.toString('hex'));
}

/** @returns undefined where the numbers are no key: a point that is not on its curve, a modulus that is too short */
export function importProofKey({ jwk }: ProofKey): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return (key.asymmetricKeyDetails?.modulusLength ?? 2048) >= 2048 ? key : undefined;
  } catch {
    return undefined;
  }
}

/** On a thread of libuv's: others need not wait for it. */
export function verifySignature(
  algorithm: ProofAlgorithm,
  key: KeyObject,
  data: string,
  signature: Buffer,
): Promise<boolean> {
  const { hash, options } = KINDS[algorithm];
  return verifyWith(hash, Buffer.from(data), { key, ...options }, signature);
}
