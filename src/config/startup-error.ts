import { InvalidSettings } from './settings.js';

/** The text to print for an error that stopped the start: the message of an operational error, the stack of a bug. */
export function startupErrorText(error: unknown): string {
  if (error instanceof InvalidSettings) return error.message;
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length) return startupErrorText(error.errors[0]);
  const { code } = error as NodeJS.ErrnoException;
  // System errors have a code and our own are plain Errors; any other class is a bug.
  const operational = typeof code === 'string' || error.constructor === Error;
  return operational ? error.message : (error.stack ?? error.message);
}
