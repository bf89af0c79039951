import { z } from 'zod';

/** A setting in JSON: `jsonSetting.pipe(z.array(…))`. */
export const jsonSetting = z.string().transform((value, context): unknown => {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue('must be JSON');
    return z.NEVER;
  }
});
