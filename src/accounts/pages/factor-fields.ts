import { z } from 'zod';
import type { FactorResponse } from '../../authentication/method.js';

/** The fields of a form that proves a factor. A script has written `credential` as JSON. */
export const FactorFields = z.object({
  factor: z.string().max(40),
  code: z.string().max(64).optional(),
  password: z.string().max(1_024).optional(),
  credential: z.string().max(16_384).optional(),
});

/** The proof of the form. A credential that is no JSON object is none. */
export function responseOf({ code, password, credential }: z.output<typeof FactorFields>): FactorResponse {
  return { code, password, credential: credential === undefined ? undefined : jsonObject(credential) };
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
