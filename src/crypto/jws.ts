/** A JWS that is well-formed; nothing is believed of it yet. */
export interface UnverifiedJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What is signed. */
  readonly input: Buffer;
  readonly signature: Buffer;
}

/** Characters: far more than a token of ours has. */
const LONGEST_OF_OURS = 4096;

/**
 * Reads a JWS in its compact serialisation (RFC 7515, section 7.1) whose payload is a JSON object: three parts in canonical
 * base64url, the first two of them UTF-8. Most libraries forgive a padding, a line break, or bits left over at the end.
 *
 * @param exact whether both objects must be written as JSON.stringify writes them: then there are no duplicate names and no
 *   second spelling of anything, and no two parsers read them differently. For what this server has written itself.
 * @returns undefined for anything else
 */
export function readJws(
  token: string,
  { longest = LONGEST_OF_OURS, exact = false } = {},
): UnverifiedJws | undefined {
  if (token.length > longest) return undefined;
  const parts = token.split('.', 4);
  const [header, payload, signature] = parts.map(bytesOf);
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const [members, claims] = [objectOf(header, exact), objectOf(payload, exact)];
  if (!members || !claims) return undefined;
  return {
    header: members,
    claims,
    input: Buffer.from(token.slice(0, token.lastIndexOf('.'))),
    signature,
  };
}

const KID = /^[\w-]{1,64}$/;
const TYPES = ['at+jwt', 'application/at+jwt'];

/**
 * Reads a JWT access token of the one form that this server writes (RFC 9068), and no other: no duplicate or unusual
 * member of the header, `typ` as it should be, the algorithm that is expected. What two parsers could read differently
 * never gets to one.
 *
 * @returns undefined for anything else
 */
export function readAccessToken(
  token: string,
  algorithm: string,
): (UnverifiedJws & { readonly kid: string }) | undefined {
  const read = readJws(token, { exact: true });
  if (!read) return undefined;
  const { alg, typ, kid, ...others } = read.header;
  if (alg !== algorithm || !TYPES.includes(typ as string)) return undefined;
  if (typeof kid !== 'string' || !KID.test(kid)) return undefined;
  // No jwk, x5u, crit, b64, zip: nothing in a header may choose a key or change how it is read (RFC 8725, 3.10).
  return Object.keys(others).length ? undefined : { ...read, kid };
}

/** Decoding skips what is no base64url, and bits left over at the end; encoding again shows it. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.length && bytes.toString('base64url') === part ? bytes : undefined;
}

function objectOf(bytes: Buffer, exact: boolean): Record<string, unknown> | undefined {
  const text = bytes.toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    // Written again it must come out the same; where others write, at least the UTF-8 must be one.
    const again = exact ? JSON.stringify(value) : text;
    return Buffer.from(again).equals(bytes) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
