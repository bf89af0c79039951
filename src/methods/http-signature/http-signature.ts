/**
 * HTTP Message Signatures (RFC 9421): the request itself is signed, with a key that never leaves its owner. On the wire
 *
 *     POST /documents HTTP/1.1
 *     Host: api.example
 *     Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
 *     Signature-Input: sig=("@method" "@authority" "@path" "@query" "content-digest")
 *         ;created=1618884473;keyid="…";nonce="…";tag="auth-atlas"
 *     Signature: sig=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jr…:
 *
 * (`Signature-Input` is one line). This file reads and writes the two fields. `http-signature.base.ts` makes the text
 * that is signed out of a message, `http-signature.digest.ts` binds the body, `http-signature.algorithms.ts` signs.
 */
import {
  isInnerList,
  parseDictionary,
  serializeDictionary,
  serializeItem,
  type BareItem,
  type Dictionary,
  type InnerList,
  type Item,
} from 'structured-headers';

/** Says for which application a signature was made (RFC 9421, section 7.2.7). Others' signatures are none of ours. */
export const TAG = 'auth-atlas';
/** How far `created` may be from this clock, in seconds. */
export const MAX_CLOCK_SKEW_SECONDS = 300;
/** What every signature covers, so that it is of no use for any other request. */
export const REQUIRED_COMPONENTS: readonly string[] = ['@method', '@authority', '@path', '@query'];
/** What it covers besides where there is a body. */
export const BODY_COMPONENT = 'content-digest';

/** Longer than any that is meant. */
const MAX_LENGTH = 8 * 1024;
const PARAMETERS = ['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'];

/** Something that is not, or does not fit, a signature: the message is for a log, never for whoever sent it. */
export class InvalidSignature extends Error {
  /** @param duplicate whether the same thing came twice, so that two readers could read two different things */
  constructor(
    reason: string,
    readonly duplicate = false,
  ) {
    super(reason);
    this.name = 'SignatureError';
  }
}

/** A member of `Signature-Input`, and what `Signature` holds under the same label. */
export interface MessageSignature {
  readonly label: string;
  /** The components that are covered, in their order, and the parameters. */
  readonly input: InnerList;
  readonly signature: Buffer;
}

/** A signature that was made for us, and says of itself all that it must. */
export interface SelectedSignature extends MessageSignature {
  /** Seconds since 1970. */
  readonly created: number;
  readonly keyid: string;
  readonly nonce: string | undefined;
  readonly alg: string | undefined;
}

/**
 * A Dictionary (RFC 9651, section 3.2) in its one spelling: the RFC's parser keeps the last of two members, or of two
 * parameters, that have the same name, and knows many ways to write a number, a truth or bytes. Another reader may keep
 * the first.
 *
 * @param lines those of the field; each must be whole
 * @throws SignatureError
 */
export function readDictionary(lines: readonly string[]): Dictionary {
  const all: Dictionary = new Map();
  let members = 0;
  for (const line of lines) {
    if (line.length > MAX_LENGTH) throw new InvalidSignature('the field is too long');
    const read = parsed(line);
    members += read.size && 1 + (line.match(COMMA_OR_STRING) ?? []).filter((found) => found === ',').length;
    for (const [name, member] of read) all.set(name, member);
    if (members !== all.size) throw new InvalidSignature('a member of the field came twice', true);
    if (withoutSpace(line) !== withoutSpace(serializeDictionary(read)))
      throw new InvalidSignature('the field is not in its canonical form');
  }
  return all;
}

/** Each matches a string as a whole, for what stands in one means nothing. Only for what was parsed. */
const COMMA_OR_STRING = /"(?:[^"\\]|\\.)*"|,/g;
const SPACE_OR_STRING = /("(?:[^"\\]|\\.)*")|[ \t]+/g;
const withoutSpace = (text: string) =>
  text.replace(SPACE_OR_STRING, (_, string: string | undefined) => string ?? '');

function parsed(line: string): Dictionary {
  try {
    return parseDictionary(line);
  } catch {
    throw new InvalidSignature('the field is not a dictionary');
  }
}

/**
 * All signatures of a message, each with its input (RFC 9421, sections 4.1 and 4.2).
 * @throws SignatureError where the two fields do not belong together
 */
export function readSignatures(inputs: readonly string[], signatures: readonly string[]): MessageSignature[] {
  const [described, values] = [readDictionary(inputs), readDictionary(signatures)];
  if (described.size !== values.size) throw new InvalidSignature('the labels of the two fields differ');
  return [...described].map(([label, input]) => {
    const [value, parameters] = values.get(label) ?? [];
    if (!isInnerList(input)) throw new InvalidSignature('a member of Signature-Input is no list');
    if (!(value instanceof ArrayBuffer) || parameters?.size)
      throw new InvalidSignature('a signature is missing, or is not bytes');
    return { label, input, signature: Buffer.from(value) };
  });
}

/**
 * The one that was made for us, chosen by its tag and never by its label, which anybody may choose.
 * @param now seconds since 1970
 * @throws SignatureError where there is none, or more than one, or it lacks something or is not of this time
 */
export function selectSignature(all: readonly MessageSignature[], now: number): SelectedSignature {
  const [signed, ...others] = all.filter(({ input }) => input[1].get('tag') === TAG);
  if (!signed) throw new InvalidSignature('no signature has our tag');
  if (others.length) throw new InvalidSignature('more than one signature has our tag');
  const [, parameters] = signed.input;
  const unknown = [...parameters.keys()].some((name) => !PARAMETERS.includes(name));
  if (unknown) throw new InvalidSignature('a parameter is not known here, so it cannot be kept to');
  const created = secondsIn(parameters.get('created'));
  const expires = secondsIn(parameters.get('expires'));
  const keyid = textIn(parameters.get('keyid'));
  if (created === undefined || keyid === undefined) throw new InvalidSignature('created or keyid is missing');
  if (Math.abs(now - created) > MAX_CLOCK_SKEW_SECONDS)
    throw new InvalidSignature('it was not created in these minutes');
  if (expires !== undefined && (expires <= now || expires < created))
    throw new InvalidSignature('it has expired');
  return {
    ...signed,
    created,
    keyid,
    nonce: textIn(parameters.get('nonce')),
    alg: textIn(parameters.get('alg')),
  };
}

/** @throws SignatureError where something is not covered; an identifier with parameters covers less than one without */
export function assertCovered({ input: [items] }: MessageSignature, required: readonly string[]): void {
  const covered = new Set(items.map(serializeIdentifier));
  if (!required.every((component) => covered.has(toIdentifier(component))))
    throw new InvalidSignature('it does not cover all that it must');
}

/** A component as it stands in the list. Most are a name and nothing else, and the way through the serializer is long. */
export const serializeIdentifier = (component: Item): string =>
  component[1].size || typeof component[0] !== 'string' ? serializeItem(component) : `"${component[0]}"`;

/** The same from a name, `@method`; what has parameters is written as it stands in the list: `"@method";req`. */
export const toIdentifier = (component: string): string =>
  component.startsWith('"') ? component : `"${component}"`;

function secondsIn(value: BareItem | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || (value as number) < 0)
    throw new InvalidSignature('a moment is not a whole number');
  return value as number;
}

function textIn(value: BareItem | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !value || value.length > 255)
    throw new InvalidSignature('a parameter is not a text of 1 to 255 characters');
  return value;
}
