/**
 * Builds the signature base (RFC 9421 sections 2 and 2.5): the text that is signed. It holds one line for each covered
 * component of the message. Both sides build it on their own, so anything ambiguous is rejected.
 */
import {
  parseDictionary,
  parseItem,
  parseList,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
  serializeList,
  isInnerList,
  type Dictionary,
  type InnerList,
  type Item,
  type Parameters,
} from 'structured-headers';
import { InvalidSignature, serializeIdentifier } from './http-signature.js';

export interface RequestMessage {
  readonly method: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The Host header. */
  readonly authority: string;
  /** Path and query of the request line, not decoded. */
  readonly target: string;
  /** The values of all lines of a header. */
  readonly lines: (name: string) => readonly string[];
}

export interface ResponseMessage {
  readonly status: number;
  readonly lines: (name: string) => readonly string[];
  /** The request of this response, for components with the parameter `req` (RFC 9421 section 2.4). */
  readonly request: RequestMessage;
}

export type Message = RequestMessage | ResponseMessage;

/** The query and the dictionaries that earlier components of the same base parsed: each is parsed once. */
interface ParsedParts {
  query?: ReadonlyMap<string, readonly string[]>;
  readonly dictionaries: Map<string, Dictionary>;
}

/** Derived components of a request (RFC 9421 section 2.2). */
const DERIVED: Readonly<
  Record<string, (request: RequestMessage, name: string, parts: ParsedParts) => string>
> = {
  '@method': ({ method }) => method,
  '@scheme': ({ secure }) => (secure ? 'https' : 'http'),
  '@authority': authorityOf,
  '@target-uri': (request) =>
    `${request.secure ? 'https' : 'http'}://${authorityOf(request)}${request.target}`,
  '@request-target': ({ target }) => target,
  '@path': ({ target }) => target.split('?', 1)[0] || '/',
  '@query': ({ target }) => (target.includes('?') ? target.slice(target.indexOf('?')) : '?'),
  '@query-param': queryParameter,
};

/** The structured fields of a known type. Only these take the parameters `sf` and `key` (RFC 9421 section 2.1.1). */
const STRUCTURED_FIELDS: Readonly<Record<string, 'dictionary' | 'list' | 'item'>> = {
  'accept-signature': 'dictionary',
  'client-cert': 'item',
  'client-cert-chain': 'list',
  'content-digest': 'dictionary',
  priority: 'dictionary',
  'repr-digest': 'dictionary',
  signature: 'dictionary',
  'signature-input': 'dictionary',
  'want-content-digest': 'dictionary',
};

const BOOLEAN_PARAMETERS = ['sf', 'bs', 'req'];
const STRING_PARAMETERS = ['key', 'name'];
const FIELD_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const PRINTABLE = /^[\t\x20-\x7e]*$/;

/**
 * @throws InvalidSignature if a component is unknown, duplicate or absent, or if its value is not printable
 */
export function signatureBase(input: InnerList, message: Message): string {
  const seen = new Set<string>();
  const parts: ParsedParts = { dictionaries: new Map() };
  const lines = input[0].map((component) => {
    const identifier = normalizedIdentifier(component);
    if (seen.has(identifier)) throw new InvalidSignature('a component is covered twice');
    seen.add(identifier);
    const value = valueOf(component, message, parts);
    if (!PRINTABLE.test(value))
      throw new InvalidSignature('a component has characters that cannot be signed');
    return `${serializeIdentifier(component)}: ${value}\n`;
  });
  return `${lines.join('')}"@signature-params": ${serializeInnerList(input)}`;
}

/** The order of an identifier's parameters does not matter (RFC 9421 section 2). */
const normalizedIdentifier = ([name, parameters]: Item) =>
  serializeIdentifier([name, new Map([...parameters].sort(([a], [b]) => (a < b ? -1 : 1)))]);

function valueOf([name, parameters]: Item, message: Message, parts: ParsedParts): string {
  if (typeof name !== 'string') throw new InvalidSignature('a component name is not a string');
  for (const [key, value] of parameters)
    if (
      !(BOOLEAN_PARAMETERS.includes(key)
        ? value === true
        : STRING_PARAMETERS.includes(key) && typeof value === 'string')
    )
      throw new InvalidSignature('a component has an unknown parameter');
  const response = 'status' in message ? message : undefined;
  if (parameters.has('req') && !response) throw new InvalidSignature('a request has no req components');
  const source = parameters.has('req') ? response!.request : message;
  if (name.startsWith('@')) return derivedValue(name, parameters, source, parts);
  if (!FIELD_NAME.test(name)) throw new InvalidSignature('a component name is not a header name');
  return headerValue(name, parameters, source, parts);
}

function derivedValue(name: string, parameters: Parameters, message: Message, parts: ParsedParts): string {
  const isQueryParameter = name === '@query-param';
  if ([...parameters.keys()].some((key) => key !== 'req' && !(isQueryParameter && key === 'name')))
    throw new InvalidSignature('a derived component has a parameter of a header');
  if ('status' in message) {
    if (name !== '@status') throw new InvalidSignature('a response has no such component');
    return String(message.status);
  }
  const derive = DERIVED[name];
  if (!derive) throw new InvalidSignature('a request has no such component');
  return derive(message, (parameters.get('name') ?? '') as string, parts);
}

/** RFC 9421 section 2.1. A structured field is serialized again, so a proxy may change its spaces. */
function headerValue(name: string, parameters: Parameters, message: Message, parts: ParsedParts): string {
  const values = message.lines(name).map((value) => value.trim());
  if (!values.length) throw new InvalidSignature('a covered header is absent');
  if (parameters.has('name')) throw new InvalidSignature('a header has a parameter of a derived component');
  const key = parameters.get('key') as string | undefined;
  const structured = parameters.has('sf') || key !== undefined;
  if (parameters.has('bs') && structured) throw new InvalidSignature('bs goes with neither sf nor key');
  if (parameters.has('bs'))
    return serializeList(values.map((value) => [Buffer.from(value, 'latin1'), new Map()]));
  const text = values.join(', ');
  if (!structured) return text;
  try {
    return key === undefined
      ? reserialize(text, STRUCTURED_FIELDS[name])
      : dictionaryMember(text, STRUCTURED_FIELDS[name], key, parts);
  } catch (error) {
    throw error instanceof InvalidSignature
      ? error
      : new InvalidSignature('a header is not a structured field');
  }
}

function reserialize(text: string, type: (typeof STRUCTURED_FIELDS)[string] | undefined): string {
  switch (type) {
    case 'dictionary':
      return serializeDictionary(parseDictionary(text));
    case 'list':
      return serializeList(parseList(text));
    case 'item':
      return serializeItem(parseItem(text));
    default:
      throw new InvalidSignature('a header is not a structured field of a known type');
  }
}

function dictionaryMember(
  text: string,
  type: (typeof STRUCTURED_FIELDS)[string] | undefined,
  key: string,
  { dictionaries }: ParsedParts,
): string {
  if (type !== 'dictionary') throw new InvalidSignature('a header lacks the member');
  const dictionary = dictionaries.get(text) ?? parseDictionary(text);
  dictionaries.set(text, dictionary);
  const member = dictionary.get(key);
  if (!member) throw new InvalidSignature('a header lacks the member');
  return isInnerList(member) ? serializeInnerList(member) : serializeItem(member);
}

/** In lower case, without a default port (RFC 9421 section 2.2.3, RFC 9110 section 4.2.3). */
function authorityOf({ authority, secure }: RequestMessage): string {
  return authority.toLowerCase().replace(secure ? /:443$/ : /:80$/, '');
}

/** RFC 9421 section 2.2.8. */
function queryParameter({ target }: RequestMessage, name: string, parts: ParsedParts): string {
  const [value, ...others] = (parts.query ??= parseQuery(target)).get(name) ?? [];
  if (value === undefined || others.length)
    throw new InvalidSignature('a query parameter is absent or duplicate');
  return value;
}

const MAX_QUERY_PARAMETERS = 100;

/** The values by name, both decoded and encoded again, as HTML forms do. */
function parseQuery(target: string): ReadonlyMap<string, readonly string[]> {
  const [, query = ''] = /\?(.*)$/s.exec(target) ?? [];
  if (query.split('&', MAX_QUERY_PARAMETERS + 1).length > MAX_QUERY_PARAMETERS)
    throw new InvalidSignature('the query has too many parameters');
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) {
    const encoded = formEncode(name);
    const all = values.get(encoded);
    if (all) all.push(formEncode(value));
    else values.set(encoded, [formEncode(value)]);
  }
  return values;
}

const formEncode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
