import { createHash } from 'node:crypto';
import { parseProofKey, type ProofKey } from './dpop.keys.js';

/**
 * A proof that the caller has the key which its access token is bound to (RFC 9449), as it travels beside the token:
 *
 *     GET /me HTTP/1.1
 *     Host: api.example.com
 *     Authorization: DPoP eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *     DPoP: eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6...
 *
 * The proof is a JWT, signed with the key that its header has, made for this one request:
 *
 *     { "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": "...", "y": "..." } }
 *     { "jti": "...", "htm": "GET", "htu": "https://api.example.com/me", "iat": 1790000000,
 *       "ath": "<SHA-256 of the access token>", "nonce": "<the server's>" }
 *
 * Where the nonce is missing or too old, the answer brings another (sections 8 and 9), and the client comes again:
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: DPoP realm="auth-atlas", algs="ES256 ...", error="use_dpop_nonce"
 *     DPoP-Nonce: 5f1c0a9e.AAABnTt...
 */
export interface DpopProof {
  readonly key: ProofKey;
  readonly claims: DpopProofClaims;
  /** What is signed: header and payload, as they came. */
  readonly signingInput: string;
  readonly signature: Buffer;
}

export interface DpopProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  /** Seconds since 1970; the standard allows fractions. */
  readonly iat: number;
  readonly exp: number | undefined;
  readonly nbf: number | undefined;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

/** The proof is wrong. Its message is for the log, and holds nothing of what came. */
export class InvalidProof extends Error {}

/** An RSA key of 4096 bits with its signature takes 2,500 characters; the rest is for the URL. */
const MOST_CHARACTERS = 8_192;
const LONGEST_JTI = 255;

/**
 * Reads a proof. Nothing is believed of it yet: its signature comes last.
 * @throws ProofError for anything but one JWT (JWS compact serialisation, RFC 7515 section 7.1) in its one spelling, with
 *   the header and the claims of RFC 9449, section 4.2
 */
export function parseProof(text: string): DpopProof {
  if (text.length > MOST_CHARACTERS) throw new InvalidProof('it is too long');
  const parts = text.split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || !parts.every(isCanonical)) throw new InvalidProof('it is not one JWT');
  const { typ, alg, jwk, ...others } = objectOf(header);
  // Exactly so: what is signed for another purpose must never be a proof (RFC 8725, section 3.11).
  if (typ !== 'dpop+jwt') throw new InvalidProof('its typ is another one');
  // No kid, x5u, crit, b64, zip: nothing else chooses the key or changes how it is read.
  if (Object.keys(others).length) throw new InvalidProof('its header has more than a proof needs');
  const key = parseProofKey(alg, jwk);
  if (!key) throw new InvalidProof('its alg or its jwk is none that is taken');
  return {
    key,
    claims: claimsOf(objectOf(payload)),
    signingInput: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** Decoding skips what is no base64url, and bits left over at the end; encoding again shows it. */
const isCanonical = (part: string) =>
  part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A JSON object in UTF-8 in which no name comes twice; space and escapes are as the client's library writes them. */
function objectOf(part: string): Readonly<Record<string, unknown>> {
  const [value, once] = jsonOf(part);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidProof('it holds no JSON object');
  if (!once) throw new InvalidProof('a name came twice');
  return value as Record<string, unknown>;
}

/** @returns what it holds, and whether all the names that are written are there when it is read */
function jsonOf(part: string): [value: unknown, once: boolean] {
  try {
    const text = UTF8.decode(Buffer.from(part, 'base64url'));
    const value: unknown = JSON.parse(text);
    const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)];
    return [value, strings.filter(([, colon]) => colon).length === namesIn(value)];
  } catch {
    // Also where it is nested too deeply to be looked through.
    throw new InvalidProof('it holds no JSON');
  }
}

const namesIn = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? Object.values(value).reduce(
        (sum: number, each) => sum + namesIn(each),
        Array.isArray(value) ? 0 : Object.keys(value).length,
      )
    : 0;

function claimsOf({ jti, htm, htu, iat, exp, nbf, ath, nonce }: Readonly<Record<string, unknown>>) {
  const texts = { jti, htm, htu };
  for (const [name, text] of Object.entries(texts))
    if (typeof text !== 'string' || text === '') throw new InvalidProof(`${name} is missing`);
  if ((jti as string).length > LONGEST_JTI) throw new InvalidProof('jti is too long');
  if (!Number.isFinite(iat)) throw new InvalidProof('iat is no moment');
  for (const moment of [exp, nbf])
    if (moment !== undefined && !Number.isFinite(moment)) throw new InvalidProof('exp or nbf is no moment');
  for (const text of [ath, nonce])
    if (text !== undefined && typeof text !== 'string') throw new InvalidProof('ath or nonce is no text');
  return { jti, htm, htu, iat, exp, nbf, ath, nonce } as DpopProofClaims;
}

/**
 * Seconds by which the client's clock may be wrong. How old a proof may be is not said by it but by the nonce, whose time is
 * the server's own (section 4.3, number 11).
 */
export const MAX_CLOCK_SKEW_SECONDS = 300;

/** What a proof must be for. */
export interface Expected {
  readonly method: string;
  /** The target's URI, normal, in each way in which this server may be called. */
  readonly uris: readonly string[];
  readonly accessToken: string;
  /** Seconds since 1970. */
  readonly now: number;
}

/** What is wrong with a proof but for its nonce, its signature, and that it may have come before; or undefined. */
export function proofFault(
  claims: DpopProofClaims,
  { method, uris, accessToken, now }: Expected,
): string | undefined {
  const { htm, htu, iat, exp, nbf, ath } = claims;
  if (htm !== method) return 'it is for another method';
  if (!uris.includes(normalizeUri(htu) ?? '')) return 'it is for another URI';
  if (Math.abs(now - iat) > MAX_CLOCK_SKEW_SECONDS) return 'it was not made in these minutes';
  if (exp !== undefined && exp <= now) return 'it has expired';
  if (nbf !== undefined && nbf > now + MAX_CLOCK_SKEW_SECONDS) return 'it is not good yet';
  return ath === accessTokenHash(accessToken) ? undefined : 'it is for another access token';
}

/** `ath`: which access token a proof goes with (section 4.2). */
export const accessTokenHash = (token: string): string =>
  createHash('sha256').update(token).digest('base64url');

const URI =
  /^(https?):\/\/([\w.-]+|\[[\da-f:.]+\])(?::(\d{0,5}))?((?:\/[\w\-.~!$&'()*+,;=:@%/]*)?)(?:[?#][!-~]*)?$/i;

/**
 * A URI of `http` or `https` without query and fragment, in the one form that RFC 3986 has for it (sections 6.2.2 and 6.2.3):
 * scheme and host in lower case, no port that goes without saying, no dot segments, nothing encoded that need not be.
 *
 * @returns undefined for what is none, and for one that holds a user
 */
export function normalizeUri(text: string): string | undefined {
  const [, scheme = '', host = '', port = '', path = ''] = URI.exec(text) ?? [];
  if (!scheme || /%(?![\da-f]{2})/i.test(path)) return undefined;
  const usual = scheme.toLowerCase() === 'https' ? 443 : 80;
  const explicit = port === '' || Number(port) === usual ? '' : `:${Number(port)}`;
  return `${scheme}://${host}`.toLowerCase() + explicit + withoutDots(withoutNeedlessEncoding(path || '/'));
}

const withoutNeedlessEncoding = (path: string) =>
  path.replace(/%[\da-f]{2}/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return /[\w\-.~]/.test(character) ? character : encoded.toUpperCase();
  });

/** RFC 3986, section 5.2.4, for a path that begins with a slash. */
function withoutDots(path: string): string {
  const left: string[] = [];
  const segments = path.split('/').slice(1);
  for (const segment of segments)
    if (segment === '..') left.pop();
    else if (segment !== '.') left.push(segment);
  if (/^\.\.?$/.test(segments.at(-1)!)) left.push('');
  return `/${left.join('/')}`;
}
