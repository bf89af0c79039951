/**
 * HTTP Message Signatures (RFC 9421). The client signs each request with a private key that never leaves it:
 *
 *     POST /documents HTTP/1.1
 *     Host: api.example
 *     Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
 *     Signature-Input: sig=("@method" "@authority" "@path" "@query" "content-digest")
 *         ;created=1618884473;keyid="…";nonce="…";tag="auth-atlas"
 *     Signature: sig=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jr…:
 *
 * (`Signature-Input` is one line.) This file parses the two headers. `http-signature.base.ts` builds the signature base,
 * `http-signature.content-digest.ts` binds the body, `http-signature.algorithms.ts` signs and verifies.
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

/** The application that a signature is for (RFC 9421 section 7.2.7). Signatures with another tag are ignored. */
export const TAG = 'auth-atlas';
/** The maximum difference between `created` and the clock of the server. */
export const MAX_CLOCK_SKEW_SECONDS = 300;
/** Every signature covers these components, so that it is valid for one request only (RFC 9421 section 7.2.1). */
export const REQUIRED_COMPONENTS: readonly string[] = ['@method', '@authority', '@path', '@query'];
/** These cover the same parts of a request, in other words (RFC 9421 sections 2.2.2 and 2.2.5). */
const EQUIVALENT_COMPONENTS: readonly (readonly string[])[] = [
  REQUIRED_COMPONENTS,
  ['@method', '@target-uri'],
  ['@method', '@authority', '@request-target'],
];
/** A signature also covers this component if the request has a body (RFC 9421 section 7.2.8). */
export const BODY_COMPONENT = 'content-digest';

/** Limits of the work before a key is looked up. All lines of a header count together. */
const MAX_HEADER_CHARACTERS = 4 * 1024;
const MAX_MEMBERS = 8;
const MAX_COMPONENTS = 16;
const MAX_PARAMETER_CHARACTERS = 255;
/** RFC 9421 section 2.3. */
const PARAMETERS = ['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'];

/** The signature is missing, malformed or wrong. The message is for the log, never for the sender. */
export class InvalidSignature extends Error {
  /** @param duplicate true if a name occurs twice, so that two parsers could read different values */
  constructor(
    reason: string,
    readonly duplicate = false,
  ) {
    super(reason);
    this.name = 'InvalidSignature';
  }
}

/** One member of `Signature-Input` and the value of the same label in `Signature`. */
export interface MessageSignature {
  readonly label: string;
  /** The covered components, in order, with the signature parameters. */
  readonly input: InnerList;
  readonly signature: Buffer;
}

/** A signature with the tag {@link TAG} and valid parameters. */
export interface SelectedSignature extends MessageSignature {
  /** Seconds since 1970. */
  readonly created: number;
  readonly keyid: string;
  readonly nonce: string | undefined;
  readonly alg: string | undefined;
}

/**
 * Parses a Dictionary (RFC 9651 section 3.2) in its canonical form only. Of two members or parameters with the same
 * name, this parser keeps the last and another may keep the first, so both are rejected.
 *
 * @param lines the lines of the header; each must parse on its own
 * @throws InvalidSignature
 */
export function parseCanonicalDictionary(lines: readonly string[]): Dictionary {
  if (lines.length > MAX_MEMBERS || lines.join().length > MAX_HEADER_CHARACTERS)
    throw new InvalidSignature('the header is too long');
  const all: Dictionary = new Map();
  let members = 0;
  for (const line of lines) {
    const parsed = parseLine(line);
    members += parsed.size && 1 + (line.match(COMMA_OR_STRING) ?? []).filter((token) => token === ',').length;
    for (const [name, member] of parsed) all.set(name, member);
    if (members !== all.size) throw new InvalidSignature('the header has a duplicate member', true);
    if (withoutSpace(line) !== withoutSpace(serializeDictionary(parsed)))
      throw new InvalidSignature('the header is not in its canonical form');
  }
  if (members > MAX_MEMBERS) throw new InvalidSignature('the header has too many members');
  return all;
}

/** These match a quoted string as a whole, to skip what it contains. Use them only on text that parsed. */
const COMMA_OR_STRING = /"(?:[^"\\]|\\.)*"|,/g;
const SPACE_OR_STRING = /("(?:[^"\\]|\\.)*")|[ \t]+/g;
const withoutSpace = (text: string) =>
  text.replace(SPACE_OR_STRING, (_, string: string | undefined) => string ?? '');

function parseLine(line: string): Dictionary {
  try {
    return parseDictionary(line);
  } catch {
    throw new InvalidSignature('the header is not a dictionary');
  }
}

/**
 * Parses all signatures of a message (RFC 9421 sections 4.1 and 4.2).
 * @throws InvalidSignature if the labels of the two headers differ, or if a member has the wrong type
 */
export function parseSignatures(
  inputs: readonly string[],
  signatures: readonly string[],
): MessageSignature[] {
  const [described, values] = [parseCanonicalDictionary(inputs), parseCanonicalDictionary(signatures)];
  if (described.size !== values.size) throw new InvalidSignature('the labels of the two headers differ');
  return [...described].map(([label, input]) => {
    const [value, parameters] = values.get(label) ?? [];
    if (!isInnerList(input)) throw new InvalidSignature('a member of Signature-Input is not an inner list');
    if (input[0].length > MAX_COMPONENTS) throw new InvalidSignature('too many components are covered');
    if (!(value instanceof ArrayBuffer) || parameters?.size)
      throw new InvalidSignature('a signature is missing, or is not a byte sequence');
    return { label, input, signature: Buffer.from(value) };
  });
}

/**
 * Finds the one signature for this application. It compares the tag; a sender may choose any label.
 * @throws InvalidSignature if there is none, or more than one
 */
export function findSignature(all: readonly MessageSignature[]): MessageSignature {
  const [signature, ...others] = all.filter(({ input }) => input[1].get('tag') === TAG);
  if (!signature) throw new InvalidSignature('no signature has our tag');
  if (others.length) throw new InvalidSignature('more than one signature has our tag');
  return signature;
}

/**
 * Finds the signature for this application and checks its parameters.
 * @param now seconds since 1970
 * @throws InvalidSignature also if a parameter is missing, unknown or out of date
 */
export function selectSignature(all: readonly MessageSignature[], now: number): SelectedSignature {
  const selected = findSignature(all);
  const [, parameters] = selected.input;
  if ([...parameters.keys()].some((name) => !PARAMETERS.includes(name)))
    throw new InvalidSignature('a parameter is unknown');
  const created = secondsParameter(parameters.get('created'));
  const expires = secondsParameter(parameters.get('expires'));
  const keyid = textParameter(parameters.get('keyid'));
  if (created === undefined || keyid === undefined) throw new InvalidSignature('created or keyid is missing');
  if (Math.abs(now - created) > MAX_CLOCK_SKEW_SECONDS)
    throw new InvalidSignature('created is too far from the current time');
  if (expires !== undefined && (expires <= now || expires < created))
    throw new InvalidSignature('the signature has expired');
  return {
    ...selected,
    created,
    keyid,
    nonce: textParameter(parameters.get('nonce')),
    alg: textParameter(parameters.get('alg')),
  };
}

/**
 * @param required component names, or serialized identifiers with parameters. An identifier with parameters does not
 *   count as the one without
 * @throws InvalidSignature if a component is not covered
 */
export function assertCovered(signature: MessageSignature, required: readonly string[]): void {
  if (!covers(signature, required)) throw new InvalidSignature('a required component is not covered');
}

/** @throws InvalidSignature if neither {@link REQUIRED_COMPONENTS} nor equivalent components are covered */
export function assertRequestCovered(signature: MessageSignature): void {
  if (!EQUIVALENT_COMPONENTS.some((components) => covers(signature, components)))
    throw new InvalidSignature('a required component is not covered');
}

function covers({ input: [components] }: MessageSignature, required: readonly string[]): boolean {
  const covered = new Set(components.map(serializeIdentifier));
  return required.every((component) => covered.has(toIdentifier(component)));
}

/** Serializes a component identifier (RFC 9421 section 2). Most have no parameters; the shortcut for these is faster. */
export const serializeIdentifier = (component: Item): string =>
  component[1].size || typeof component[0] !== 'string' ? serializeItem(component) : `"${component[0]}"`;

/** Quotes a component name: `@method`. An identifier that is already serialized is returned as it is: `"@method";req`. */
export const toIdentifier = (component: string): string =>
  component.startsWith('"') ? component : `"${component}"`;

function secondsParameter(value: BareItem | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || (value as number) < 0)
    throw new InvalidSignature('a time is not a whole number of seconds');
  return value as number;
}

function textParameter(value: BareItem | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !value || value.length > MAX_PARAMETER_CHARACTERS)
    throw new InvalidSignature(`a parameter is not a string of 1 to ${MAX_PARAMETER_CHARACTERS} characters`);
  return value;
}
