import { hashLength, isAlgorithm, type DigestParameters } from './digest.js';

/** The header is malformed or ambiguous. The message is for the log. */
export class MalformedDigest extends Error {}

/** The parsed `Authorization` header (RFC 7616 section 3.4). */
export interface DigestAuthorization extends DigestParameters {
  /** The username, or its hash if `userhash` is true. */
  readonly username: string;
  readonly userhash: boolean;
  readonly realm: string;
  readonly response: string;
}

/** Characters. The longest parameter is `uri`. */
const MAX_LIST_LENGTH = 12 * 1024;
const MAX_PARAMETERS = 32;

const TOKEN = String.raw`[!#$%&'*+.^_\x60|~\w-]+`;
const QUOTED = String.raw`"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"`;
/** One parameter and the comma after it (RFC 9110 sections 5.6.1 and 11.2). It never backtracks. */
const PARAMETER = new RegExp(
  String.raw`(${TOKEN})[\t ]*=[\t ]*(?:(${TOKEN})|(${QUOTED}))[\t ]*(?:,[\t ,]*|$)`,
  'y',
);

/** Scheme names are case-insensitive (RFC 9110 section 11.1). The parameters may be malformed. */
export const hasDigestScheme = (authorization: string): boolean => /^digest(?:[\s,]|$)/i.test(authorization);

/**
 * Parses a list of parameters.
 * @returns the values without quotes, by lower-case name
 * @throws MalformedDigest also for a duplicate parameter
 */
export function parseParameters(list: string): ReadonlyMap<string, string> {
  if (list.length > MAX_LIST_LENGTH) throw new MalformedDigest('the list is too long');
  const found = new Map<string, string>();
  for (let at = 0; at < list.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const [, name = '', token, quoted] = PARAMETER.exec(list) ?? [];
    if (!name) throw new MalformedDigest('not a list of parameters');
    const key = name.toLowerCase();
    if (found.has(key)) throw new MalformedDigest('a parameter appears twice');
    if (found.size === MAX_PARAMETERS) throw new MalformedDigest('too many parameters');
    found.set(key, token ?? quoted!.slice(1, -1).replace(/\\(.)/gs, '$1'));
  }
  return found;
}

/**
 * Parses an `Authorization` header. Unknown parameters are ignored (section 3.4).
 * @param authorization the header as Node returns it: one character per byte (Latin-1)
 * @throws MalformedDigest
 */
export function parseDigest(authorization: string): DigestAuthorization {
  const list = /^digest +(?=\S)/i.exec(authorization);
  if (!list) throw new MalformedDigest('no parameters');
  const parameters = parseParameters(authorization.slice(list[0].length));
  const get = (name: string, form: RegExp) => {
    const value = parameters.get(name);
    if (value === undefined || !form.test(value))
      throw new MalformedDigest(`${name} is missing or malformed`);
    return value;
  };
  // The default of section 3.3.
  const algorithm = parameters.get('algorithm') ?? 'MD5';
  if (!isAlgorithm(algorithm)) throw new MalformedDigest('unknown algorithm');
  const userhash = parameters.has('userhash') && get('userhash', /^(?:true|false)$/) === 'true';
  return {
    algorithm,
    userhash,
    username: usernameIn(parameters, userhash),
    realm: get('realm', /^/),
    nonce: get('nonce', /^/),
    uri: get('uri', /^\//),
    qop: get('qop', /^auth(?:-int)?$/) as DigestParameters['qop'],
    nc: get('nc', /^(?!0{8})[\da-f]{8}$/),
    // Sent back in Authentication-Info, so it must not contain characters that need escaping.
    cnonce: get('cnonce', /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/),
    response: get('response', new RegExp(`^[\\da-f]{${hashLength(algorithm)}}$`)),
  };
}

/** Either `username`, or `username*` (RFC 8187) for a name that does not fit into a quoted-string and is not hashed. */
function usernameIn(parameters: ReadonlyMap<string, string>, userhash: boolean): string {
  const [plain, extended] = [parameters.get('username'), parameters.get('username*')];
  if ((plain === undefined) === (extended === undefined)) throw new MalformedDigest('no username, or two');
  if (extended === undefined) return utf8(Buffer.from(plain!, 'latin1'));
  const [, encoded] = /^UTF-8'[\w-]*'((?:[\w!#$&+.^`|~-]|%[\da-f]{2})+)$/i.exec(extended) ?? [];
  if (encoded === undefined || userhash) throw new MalformedDigest('username* is malformed, or is a hash');
  const bytes = encoded.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return utf8(Buffer.from(bytes, 'latin1'));
}

// Keeps a byte order mark: without it, one name would have two spellings.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new MalformedDigest('the username is not UTF-8');
  }
}
