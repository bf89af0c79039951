import { z } from 'zod';

/**
 * Whether a text is a path of this origin. Rejects `//evil.example`, which is another host, `/\evil.example`, which
 * browsers read the same way, and spaces and control characters, which browsers remove.
 */
const LOCAL_PATH = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/;
export const isLocalPath = (text: string): boolean => text.length <= 1_000 && LOCAL_PATH.test(text);

export const LocalPath = z
  .string()
  .refine(isLocalPath, 'Must be a path of this origin, such as /account.')
  .meta({ maxLength: 1_000, pattern: LOCAL_PATH.source });

/** The `returnTo` of a page. Any other text is ignored: the page then goes to its usual successor. */
export const ReturnTo = LocalPath.optional().catch(undefined);
