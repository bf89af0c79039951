import { hash } from 'node:crypto';
import { parseProofKey, type ProofKey } from './dpop.keys.js';

/**
 * DPoP (RFC 9449). The client sends a proof that it holds the key of its access token:
 *
 *     GET /me HTTP/1.1
 *     Host: api.example.com
 *     Authorization: DPoP eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJpc3MiOi...
 *     DPoP: eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6...
 *
 * The proof is a JWT for this one request. Its header holds the public key that verifies it:
 *
 *     { "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": "...", "y": "..." } }
 *     { "jti": "...", "htm": "GET", "htu": "https://api.example.com/me", "iat": 1790000000,
 *       "ath": "<SHA-256 of the access token>", "nonce": "<a nonce of the server>" }
 *
 * If the nonce is missing or expired, the response carries a new one, and the client repeats the request (sections 8 and 9):
 *
 *     HTTP/1.1 401 Unauthorized
 *     WWW-Authenticate: DPoP realm="auth-atlas", algs="ES256 ...", error="use_dpop_nonce"
 *     DPoP-Nonce: 5f1c0a9e.AAABnTt...
 */
export interface DpopProof {
  readonly key: ProofKey;
  readonly claims: DpopProofClaims;
  /** Header and payload as received: the JWS Signing Input (RFC 7515 section 5.1). */
  readonly signingInput: string;
  readonly signature: Buffer;
}

export interface DpopProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  /** Seconds since 1970; fractions are allowed (RFC 7519 section 2, NumericDate). */
  readonly iat: number;
  readonly exp: number | undefined;
  readonly nbf: number | undefined;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

/** The proof is invalid. The message is for the log and contains nothing that the client sent. */
export class InvalidProof extends Error {}

/** An RSA key of 4096 bits and its signature take 2,500 characters; the rest is for the URI. */
const MAX_PROOF_CHARACTERS = 8_192;
const MAX_JTI_CHARACTERS = 255;

/** The clock skew of a client, in seconds. The age of a proof is limited by its nonce, which has the server's time. */
export const MAX_CLOCK_SKEW_SECONDS = 300;

/**
 * Parses a proof without verifying it: the caller checks its claims and its signature.
 * @throws InvalidProof unless the text is one canonical JWT (JWS Compact Serialization, RFC 7515 section 7.1) with the
 *   header and the claims of RFC 9449 section 4.2
 */
export function parseProof(text: string): DpopProof {
  if (text.length > MAX_PROOF_CHARACTERS) throw new InvalidProof('it is too long');
  const parts = text.split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || !parts.every(isCanonical)) throw new InvalidProof('it is not one JWT');
  const { typ, alg, jwk, ...others } = parseObject(header);
  // Explicit typing: a JWT for another purpose is never a proof (RFC 8725 section 3.11).
  if (typ !== 'dpop+jwt') throw new InvalidProof('its typ is not dpop+jwt');
  // No kid, x5u, crit, b64 or zip: nothing else may select the key or change the encoding.
  if (Object.keys(others).length)
    throw new InvalidProof('its header has other members than typ, alg and jwk');
  const key = parseProofKey(alg, jwk);
  if (!key) throw new InvalidProof('its alg or its jwk is not accepted');
  return {
    key,
    claims: parseClaims(parseObject(payload)),
    signingInput: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** Node's decoder skips invalid characters and unused bits, so compare with the text encoded again. */
const isCanonical = (part: string) =>
  part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses a JSON object in UTF-8 and rejects duplicate names (RFC 7515 section 4). */
function parseObject(part: string): Readonly<Record<string, unknown>> {
  const [value, namesAreUnique] = parseJson(part);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidProof('it holds no JSON object');
  if (!namesAreUnique) throw new InvalidProof('it has a duplicate name');
  return value as Record<string, unknown>;
}

/** JSON.parse drops duplicates: compare the number of names in the text with the number in the value. */
function parseJson(part: string): [value: unknown, namesAreUnique: boolean] {
  try {
    const text = UTF8.decode(Buffer.from(part, 'base64url'));
    const value: unknown = JSON.parse(text);
    const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)];
    return [value, strings.filter(([, colon]) => colon).length === countNames(value)];
  } catch {
    // Also reached if the JSON is nested too deeply for countNames.
    throw new InvalidProof('it holds no JSON');
  }
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, each) => sum + countNames(each), own);
}

function parseClaims({ jti, htm, htu, iat, exp, nbf, ath, nonce }: Readonly<Record<string, unknown>>) {
  const required = { jti, htm, htu };
  for (const [name, text] of Object.entries(required))
    if (typeof text !== 'string' || text === '') throw new InvalidProof(`${name} is missing`);
  if ((jti as string).length > MAX_JTI_CHARACTERS) throw new InvalidProof('jti is too long');
  if (!Number.isFinite(iat)) throw new InvalidProof('iat is not a number');
  for (const date of [exp, nbf])
    if (date !== undefined && !Number.isFinite(date)) throw new InvalidProof('exp or nbf is not a number');
  for (const text of [ath, nonce])
    if (text !== undefined && typeof text !== 'string')
      throw new InvalidProof('ath or nonce is not a string');
  return { jti, htm, htu, iat, exp, nbf, ath, nonce } as DpopProofClaims;
}

/** The request that a proof must match. */
export interface ExpectedRequest {
  readonly method: string;
  /** The normalized URIs under which this server accepts the request. */
  readonly uris: readonly string[];
  readonly accessToken: string;
  /** Seconds since 1970. */
  readonly now: number;
}

/**
 * Checks the claims of a proof, except its nonce and the reuse of its jti (RFC 9449 section 4.3).
 * @returns the reason for the log, or undefined if the claims match
 */
export function proofFault(
  claims: DpopProofClaims,
  { method, uris, accessToken, now }: ExpectedRequest,
): string | undefined {
  const { htm, htu, iat, exp, nbf, ath } = claims;
  if (htm !== method) return 'it is for another method';
  if (!uris.includes(normalizeUri(htu) ?? '')) return 'it is for another URI';
  if (Math.abs(now - iat) > MAX_CLOCK_SKEW_SECONDS) return 'its iat is too far from the current time';
  if (exp !== undefined && exp <= now) return 'it has expired';
  if (nbf !== undefined && nbf > now + MAX_CLOCK_SKEW_SECONDS) return 'it is not valid yet';
  if (ath !== accessTokenHash(accessToken)) return 'it is for another access token';
  return undefined;
}

/** The claim `ath`: the SHA-256 of the access token, in base64url (RFC 9449 section 4.2). */
export const accessTokenHash = (token: string): string => hash('sha256', token, 'base64url');

const URI =
  /^(https?):\/\/([\w.-]+|\[[\da-f:.]+\])(?::(\d{0,5}))?((?:\/[\w\-.~!$&'()*+,;=:@%/]*)?)(?:[?#][!-~]*)?$/i;

/**
 * Normalizes an `http` or `https` URI and removes its query and fragment (RFC 3986 sections 6.2.2 and 6.2.3). The
 * result has scheme and host in lower case, no default port, no dot segments and no unnecessary percent-encoding.
 *
 * @returns undefined for any other text, and for a URI with userinfo
 */
export function normalizeUri(text: string): string | undefined {
  const [, scheme = '', host = '', port = '', path = ''] = URI.exec(text) ?? [];
  if (!scheme || /%(?![\da-f]{2})/i.test(path)) return undefined;
  const defaultPort = scheme.toLowerCase() === 'https' ? 443 : 80;
  const explicitPort = port === '' || Number(port) === defaultPort ? '' : `:${Number(port)}`;
  const normalPath = removeDotSegments(decodeUnreserved(path || '/'));
  return `${scheme}://${host}`.toLowerCase() + explicitPort + normalPath;
}

/** RFC 3986 section 6.2.2.2. */
const decodeUnreserved = (path: string) =>
  path.replace(/%[\da-f]{2}/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return /[\w\-.~]/.test(character) ? character : encoded.toUpperCase();
  });

/** RFC 3986 section 5.2.4, for a path that begins with a slash. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const segment of segments)
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  if (/^\.\.?$/.test(segments.at(-1)!)) kept.push('');
  return `/${kept.join('/')}`;
}
