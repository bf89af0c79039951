/**
 * The signature base (RFC 9421, sections 2 and 2.5): the text that is signed, made of the components of a message that
 * the signature names. Both sides make it, so every step here refuses what two of them could make differently.
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
  type InnerList,
  type Item,
  type Parameters,
} from 'structured-headers';
import { InvalidSignature, serializeIdentifier } from './http-signature.js';

export interface RequestMessage {
  readonly method: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The Host field. */
  readonly authority: string;
  /** Path and query as they stand in the first line. */
  readonly target: string;
  /** The values of all lines of a field. */
  readonly lines: (name: string) => readonly string[];
}

export interface ResponseMessage {
  readonly status: number;
  readonly lines: (name: string) => readonly string[];
  /** What it answers, for components with the parameter `req` (section 2.4). */
  readonly request: RequestMessage;
}

export type Message = RequestMessage | ResponseMessage;

/** Section 2.2. */
const OF_REQUEST: Readonly<Record<string, (request: RequestMessage, name: string) => string>> = {
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

/** The structured fields whose type is known here: `sf` and `key` mean nothing for others (section 2.1.1). */
const TYPES: Readonly<Record<string, 'dictionary' | 'list' | 'item'>> = {
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

const FLAGS = ['sf', 'bs', 'req'];
const TEXTS = ['key', 'name'];
const FIELD_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const PRINTABLE = /^[\t\x20-\x7e]*$/;

/**
 * @throws SignatureError where a component is not known, came twice, is absent, or has no value that can stand in a line
 */
export function signatureBase(input: InnerList, message: Message): string {
  const seen = new Set<string>();
  const lines = input[0].map((component) => {
    const identity = identityOf(component);
    if (seen.has(identity)) throw new InvalidSignature('a component is covered twice');
    seen.add(identity);
    const value = valueOf(component, message);
    if (!PRINTABLE.test(value))
      throw new InvalidSignature('a component has characters that cannot be signed');
    return `${serializeIdentifier(component)}: ${value}\n`;
  });
  return `${lines.join('')}"@signature-params": ${serializeInnerList(input)}`;
}

/** Two identifiers with the same parameters in another order are one (section 2). */
const identityOf = ([name, parameters]: Item) =>
  serializeIdentifier([name, new Map([...parameters].sort(([a], [b]) => (a < b ? -1 : 1)))]);

function valueOf([name, parameters]: Item, message: Message): string {
  if (typeof name !== 'string')
    throw new InvalidSignature('a component is named by something else than a string');
  for (const [key, value] of parameters)
    if (!(FLAGS.includes(key) ? value === true : TEXTS.includes(key) && typeof value === 'string'))
      throw new InvalidSignature('a component has a parameter that is not known here');
  const response = 'status' in message ? message : undefined;
  if (parameters.has('req') && !response) throw new InvalidSignature('a request answers no request');
  const source = parameters.has('req') ? response!.request : message;
  if (name.startsWith('@')) return derived(name, parameters, source);
  if (!FIELD_NAME.test(name)) throw new InvalidSignature('a component is neither derived nor a field');
  return field(name, parameters, source);
}

function derived(name: string, parameters: Parameters, message: Message): string {
  const named = name === '@query-param';
  if ([...parameters.keys()].some((key) => key !== 'req' && !(named && key === 'name')))
    throw new InvalidSignature('a derived component has a parameter of a field');
  if ('status' in message) {
    if (name !== '@status') throw new InvalidSignature('a response has no such component');
    return String(message.status);
  }
  const derive = OF_REQUEST[name];
  if (!derive) throw new InvalidSignature('a request has no such component');
  return derive(message, (parameters.get('name') ?? '') as string);
}

/** Section 2.1. A structured field is written anew, so that space which a proxy has changed does no harm. */
function field(name: string, parameters: Parameters, message: Message): string {
  const values = message.lines(name).map((value) => value.trim());
  if (!values.length) throw new InvalidSignature('a field that is covered is absent');
  if (parameters.has('name')) throw new InvalidSignature('a field has a parameter of a derived component');
  const key = parameters.get('key') as string | undefined;
  const structured = parameters.has('sf') || key !== undefined;
  if (parameters.has('bs') && structured) throw new InvalidSignature('bs goes with neither sf nor key');
  if (parameters.has('bs'))
    return serializeList(values.map((value) => [Buffer.from(value, 'latin1'), new Map()]));
  const text = values.join(', ');
  if (!structured) return text;
  try {
    return key === undefined ? rewritten(text, TYPES[name]) : memberOf(text, TYPES[name], key);
  } catch (error) {
    throw error instanceof InvalidSignature
      ? error
      : new InvalidSignature('a field is not what sf says it is');
  }
}

function rewritten(text: string, type: (typeof TYPES)[string] | undefined): string {
  switch (type) {
    case 'dictionary':
      return serializeDictionary(parseDictionary(text));
    case 'list':
      return serializeList(parseList(text));
    case 'item':
      return serializeItem(parseItem(text));
    default:
      throw new InvalidSignature('a field is not known to be structured');
  }
}

function memberOf(text: string, type: (typeof TYPES)[string] | undefined, key: string): string {
  const member = type === 'dictionary' ? parseDictionary(text).get(key) : undefined;
  if (!member) throw new InvalidSignature('a field has no such member');
  return isInnerList(member) ? serializeInnerList(member) : serializeItem(member);
}

/** In lower case, and without the port that goes without saying (RFC 9110, section 4.2.3). */
function authorityOf({ authority, secure }: RequestMessage): string {
  return authority.toLowerCase().replace(secure ? /:443$/ : /:80$/, '');
}

/** Section 2.2.8: decoded and encoded again, each in the one way that HTML forms have. */
function queryParameter({ target }: RequestMessage, name: string): string {
  const [, query = ''] = /\?(.*)$/s.exec(target) ?? [];
  const values = [...new URLSearchParams(query)].filter(([each]) => encoded(each) === name);
  const [value, ...others] = values;
  if (!value || others.length) throw new InvalidSignature('a query parameter is absent, or came twice');
  return encoded(value[1]);
}

const encoded = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
