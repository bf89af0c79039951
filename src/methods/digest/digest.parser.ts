import { hashLength, isAlgorithm, type DigestParameters } from './digest.js';

/** A field that is no Digest answer, or could be read in two ways; the message is for the log. */
export class MalformedDigest extends Error {}

/** What a caller sends in `Authorization` (RFC 7616, section 3.4). */
export interface DigestAuthorization extends DigestParameters {
  /** A name, or with `userhash` its hash. */
  readonly username: string;
  readonly userhash: boolean;
  readonly realm: string;
  readonly response: string;
}

/** A request target is the longest of what has to fit. */
const MOST_CHARACTERS = 12 * 1024;
const MOST_PARAMETERS = 32;

const TOKEN = String.raw`[!#$%&'*+.^_\x60|~\w-]+`;
const QUOTED = String.raw`"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"`;
/** One parameter and what parts it from the next (RFC 9110, sections 5.6.1 and 11.2). No two ways to match a text. */
const PARAMETER = new RegExp(
  String.raw`(${TOKEN})[\t ]*=[\t ]*(?:(${TOKEN})|(${QUOTED}))[\t ]*(?:,[\t ,]*|$)`,
  'y',
);

/** Is this Digest, well-formed or not? The scheme's name has no case (RFC 9110, section 11.1). */
export const hasDigestScheme = (authorization: string): boolean => /^digest(?:[\s,]|$)/i.test(authorization);

/**
 * The parameters of a list, by their names in lower case, and without the quotes.
 * @throws MalformedDigest also where one stands twice
 */
export function parseParameters(list: string): ReadonlyMap<string, string> {
  if (list.length > MOST_CHARACTERS) throw new MalformedDigest('the list is too long');
  const found = new Map<string, string>();
  for (let at = 0; at < list.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const [, name = '', token, quoted] = PARAMETER.exec(list) ?? [];
    if (!name) throw new MalformedDigest('this is no list of parameters');
    const key = name.toLowerCase();
    if (found.has(key)) throw new MalformedDigest('a parameter stands twice');
    if (found.size === MOST_PARAMETERS) throw new MalformedDigest('there are too many parameters');
    found.set(key, token ?? quoted!.slice(1, -1).replace(/\\(.)/gs, '$1'));
  }
  return found;
}

/**
 * Reads an answer. Parameters that nobody knows are ignored, as section 3.4 says.
 * @param authorization the field's value, a character for each byte, as Node hands it out
 * @throws MalformedDigest
 */
export function parseDigest(authorization: string): DigestAuthorization {
  const list = /^digest +(?=\S)/i.exec(authorization);
  if (!list) throw new MalformedDigest('there are no parameters');
  const parameters = parseParameters(authorization.slice(list[0].length));
  const get = (name: string, form: RegExp) => {
    const value = parameters.get(name);
    if (value === undefined || !form.test(value))
      throw new MalformedDigest(`${name} is missing or malformed`);
    return value;
  };
  // RFC 2069 knew no qop, and no other algorithm was there when none had to be named.
  const algorithm = parameters.get('algorithm') ?? 'MD5';
  if (!isAlgorithm(algorithm)) throw new MalformedDigest('the algorithm is not known');
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
    // It is sent back in Authentication-Info: so nothing that would have to be escaped there.
    cnonce: get('cnonce', /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/),
    response: get('response', new RegExp(`^[\\da-f]{${hashLength(algorithm)}}$`)),
  };
}

/** `username`, or `username*` where a quoted-string cannot hold it (RFC 8187), which has no hash. Never both. */
function usernameIn(parameters: ReadonlyMap<string, string>, userhash: boolean): string {
  const [plain, extended] = [parameters.get('username'), parameters.get('username*')];
  if ((plain === undefined) === (extended === undefined))
    throw new MalformedDigest('there is no username, or there are two');
  if (extended === undefined) return utf8(Buffer.from(plain!, 'latin1'));
  const [, encoded] = /^UTF-8'[\w-]*'((?:[\w!#$&+.^`|~-]|%[\da-f]{2})+)$/i.exec(extended) ?? [];
  if (encoded === undefined || userhash) throw new MalformedDigest('username* is malformed, or is a hash');
  const bytes = encoded.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return utf8(Buffer.from(bytes, 'latin1'));
}

// A byte order mark is kept: dropping it would make two spellings of one name.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new MalformedDigest('the username is not UTF-8');
  }
}
