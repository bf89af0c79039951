import { z } from 'zod';

/** Seconds in which a used bearer refresh token may be sent again. 0 turns this off. */
export const refreshReuseSeconds = z
  .string()
  .regex(/^([1-5]?\d|60)$/, 'must be a number of seconds from 0 to 60')
  .default('0')
  .transform(Number);
