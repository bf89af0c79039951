/** A well-formed JWS whose signature was not verified yet. */
export interface UnverifiedJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** The JWS Signing Input (RFC 7515 section 2). */
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/** Access tokens of this server are much shorter. */
const MAX_TOKEN_CHARACTERS = 4096;

/**
 * Reads a JWS in compact serialization (RFC 7515 section 7.1) whose payload is a JSON object. Each part must be canonical
 * base64url, and the first two UTF-8. Most libraries also accept padding, line breaks and unused trailing bits.
 *
 * @param maxLength characters
 * @param canonicalJson requires both objects to be written as `JSON.stringify` writes them. This excludes duplicate names and
 *   alternative spellings, so no two parsers read them differently. Use it for tokens of this server.
 * @returns undefined for any other text
 */
export function readJws(
  token: string,
  { maxLength = MAX_TOKEN_CHARACTERS, canonicalJson = false } = {},
): UnverifiedJws | undefined {
  if (token.length > maxLength) return undefined;
  const parts = token.split('.', 4);
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const [members, claims] = [parseObject(header, canonicalJson), parseObject(payload, canonicalJson)];
  if (!members || !claims) return undefined;
  return {
    header: members,
    claims,
    signingInput: Buffer.from(token.slice(0, token.lastIndexOf('.'))),
    signature,
  };
}

const KID = /^[\w-]{1,64}$/;
const TYPES = ['at+jwt', 'application/at+jwt'];

/**
 * Reads a JWT access token (RFC 9068) in the one form that this server writes. That is canonical JSON with the
 * expected `alg`, the `typ` of an access token, a `kid`, and no other header member.
 *
 * @returns undefined for any other text
 */
export function readAccessToken(
  token: string,
  algorithm: string,
): (UnverifiedJws & { readonly kid: string }) | undefined {
  const jws = readJws(token, { canonicalJson: true });
  if (!jws) return undefined;
  const { alg, typ, kid, ...others } = jws.header;
  if (alg !== algorithm || !TYPES.includes(typ as string)) return undefined;
  if (typeof kid !== 'string' || !KID.test(kid)) return undefined;
  // Reject jwk, x5u, crit, b64 and zip: a header must not choose a key or change the encoding (RFC 8725 section 3.10).
  return Object.keys(others).length ? undefined : { ...jws, kid };
}

/** Node's decoder skips invalid characters and unused trailing bits. Encoding again detects them. */
function decodeBase64url(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.length && bytes.toString('base64url') === part ? bytes : undefined;
}

function parseObject(bytes: Buffer, canonicalJson: boolean): Record<string, unknown> | undefined {
  const text = bytes.toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    // Without canonicalJson, this comparison still rejects invalid UTF-8.
    const rewritten = canonicalJson ? JSON.stringify(value) : text;
    return Buffer.from(rewritten).equals(bytes) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
