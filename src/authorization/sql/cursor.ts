import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { BadRequestException } from '@nestjs/common';
import type { Position } from './keyset-pages.js';

const sign = (key: KeyObject, text: string, context: string) =>
  createHmac('sha256', key)
    .update(JSON.stringify([text, context]))
    .digest();

/**
 * A position as an opaque text for the caller, signed together with its context (who asks, for what), so that it
 * can be neither read as a promise, nor altered, nor used for another list.
 */
export function writeCursor(key: KeyObject, { value, id }: Position, context: string): string {
  const text = Buffer.from(JSON.stringify([value, id])).toString('base64url');
  return `${text}.${sign(key, text, context).toString('base64url')}`;
}

/** @throws BadRequestException `invalid_cursor` for anything that {@link writeCursor} did not write for this context */
export function readCursor(key: KeyObject, cursor: string, context: string): Position {
  const [text = '', signature = ''] = cursor.split('.');
  const expected = sign(key, text, context);
  const given = Buffer.from(signature, 'base64url');
  if (cursor !== `${text}.${expected.toString('base64url')}` || !timingSafeEqual(given, expected))
    throw new BadRequestException({
      code: 'invalid_cursor',
      detail: 'The cursor is invalid or belongs to another list. Start again without it.',
    });
  const [value, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [
    Position['value'],
    Position['id'],
  ];
  return { value, id };
}
