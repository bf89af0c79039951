import { BadRequestException } from '@nestjs/common';

const MAX_DEPTH = 32;

const invalid = (detail: string) => new BadRequestException({ code: 'invalid_json', detail });

/**
 * JSON as RFC 8259 has it, less what two parsers could read differently or what could change an object's nature:
 * no byte order mark, no bytes that are not UTF-8, no key twice, no `__proto__`, no `constructor.prototype`.
 *
 * @throws BadRequestException `invalid_json`
 */
export function parseJson(bytes: Buffer): unknown {
  const text = decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('The body is not JSON.');
  }
  inspect(text);
  return value;
}

function decode(bytes: Buffer): string {
  try {
    // With `ignoreBOM` a byte order mark stays in the text, where JSON.parse refuses it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('The body is not UTF-8.');
  }
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g;

/** An object's keys so far, or nothing for an array; and the key whose value is being read. */
interface Level {
  readonly keys: Set<string> | undefined;
  key: string | undefined;
}

/** Walks a text that is known to be JSON: strings, brackets and colons say all that is asked, without recursion. */
function inspect(text: string): void {
  const levels: Level[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      levels.push({ keys: token === '{' ? new Set() : undefined, key: undefined });
      if (levels.length > MAX_DEPTH) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`);
    } else if (token === '}' || token === ']') levels.pop();
    else if (token === ':') name(levels, JSON.parse(last) as string);
    else last = token;
  }
}

function name(levels: readonly Level[], key: string): void {
  const level = levels.at(-1)!;
  if (level.keys?.has(key)) throw invalid('The body contains a duplicate key.');
  if (key === '__proto__' || (key === 'prototype' && levels.at(-2)?.key === 'constructor'))
    throw invalid('The body contains a forbidden key.');
  level.keys?.add(key);
  level.key = key;
}
