import { BadRequestException } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { text } from '../../authentication/describe.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import type { KeysetPosition } from './keyset-pages.js';

/** The query parameters of a paged list, for a `z.strictObject`: 1 to 100 rows, 20 by default. */
export const PAGE_PARAMETERS = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/)
    .transform(Number)
    .pipe(z.int().min(1).max(100))
    .meta({ type: 'integer', minimum: 1, maximum: 100, pattern: undefined, default: 20 })
    .default(20),
  cursor: text(1000).optional(),
};

/**
 * Writes a position as an opaque cursor: `base64url(JSON).base64url(HMAC-SHA256)`. The signature covers the context, so
 * a caller can neither alter the cursor nor use it for another list.
 * @param context the caller and the list: its tenant, id, sort and filters
 */
export function writeCursor(key: KeyObject, { value, id }: KeysetPosition, context: string): string {
  const position = Buffer.from(JSON.stringify([value, id])).toString('base64url');
  return `${position}.${signatureOf(key, position, context)}`;
}

/** @throws BadRequestException `invalid_cursor` for a cursor that {@link writeCursor} did not write for this context */
export function readCursor(key: KeyObject, cursor: string, context: string): KeysetPosition {
  const [position = ''] = cursor.split('.');
  if (!constantTimeEqual(cursor, `${position}.${signatureOf(key, position, context)}`))
    throw new BadRequestException({
      code: 'invalid_cursor',
      detail: 'The cursor is invalid or belongs to another list. Start again without it.',
    });
  const json = Buffer.from(position, 'base64url').toString();
  const [value, id] = JSON.parse(json) as [KeysetPosition['value'], KeysetPosition['id']];
  return { value, id };
}

const signatureOf = (key: KeyObject, position: string, context: string) =>
  createHmac('sha256', key)
    .update(JSON.stringify([position, context]))
    .digest('base64url');
