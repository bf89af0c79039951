import { BadSettings } from '../config/index.js';
import type { AuthMethod } from '../auth/index.js';

/** The demo's welcome: one line to try for each method that can be tried with curl alone. */
export function welcome(origin: string, methods: readonly AuthMethod[]): string {
  const lines = methods.flatMap(({ name, curl }) =>
    curl ? [[name, `curl ${curl.replaceAll('ORIGIN', origin)} ${origin}/demo/${name}`]] : [],
  );
  const width = Math.max(...lines.map(([name = '']) => name.length));
  return [
    `\nAuth Atlas listens on ${origin}. Sign in:\n`,
    ...lines.map(([name = '', command]) => `  ${name.padEnd(width)}  ${command}`),
    `\nAll routes: ${origin}/openapi\n\n`,
  ].join('\n');
}

/** What to print of an error that stopped the start: a sentence where the cause is outside, a stack where it is a fault. */
export function whyNotStarted(error: unknown): string {
  if (error instanceof BadSettings) return error.message;
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length) return whyNotStarted(error.errors[0]);
  const { code } = error as NodeJS.ErrnoException;
  // System errors carry a code; our own refusals are plain Errors that hold a sentence. The rest are bugs.
  const outside = typeof code === 'string' || error.constructor === Error;
  return outside ? error.message : (error.stack ?? error.message);
}
