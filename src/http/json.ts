import { BadRequestException } from '@nestjs/common';

const MAX_DEPTH = 32;

const invalid = (detail: string) => new BadRequestException({ code: 'invalid_json', detail });

/**
 * Parses JSON (RFC 8259) and rejects documents that parsers read differently or that pollute prototypes. Rejected are
 * a byte order mark, invalid UTF-8, duplicate keys, `__proto__`, `constructor.prototype` and more than 32 levels.
 *
 * Written here because `secure-json-parse` checks prototype keys only (test/http/json.e2e-spec.ts shows the others).
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
  checkStructure(text);
  return value;
}

function decode(bytes: Buffer): string {
  try {
    // `ignoreBOM` keeps a byte order mark in the text, and JSON.parse rejects it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('The body is not UTF-8.');
  }
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g;

/** An object or array that is not closed yet: the object's keys, and the key whose value is being read. */
interface NestingLevel {
  readonly keys: Set<string> | undefined;
  key: string | undefined;
}

/** Checks the keys and the depth of valid JSON, without recursion. */
function checkStructure(text: string): void {
  const levels: NestingLevel[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      levels.push({ keys: token === '{' ? new Set() : undefined, key: undefined });
      if (levels.length > MAX_DEPTH) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`);
    } else if (token === '}' || token === ']') levels.pop();
    else if (token === ':') addKey(levels, JSON.parse(last) as string);
    else last = token;
  }
}

function addKey(levels: readonly NestingLevel[], key: string): void {
  const level = levels.at(-1)!;
  if (level.keys?.has(key)) throw invalid('The body contains a duplicate key.');
  if (key === '__proto__' || (key === 'prototype' && levels.at(-2)?.key === 'constructor'))
    throw invalid('The body contains a forbidden key.');
  level.keys?.add(key);
  level.key = key;
}
