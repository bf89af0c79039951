import { HttpException, HttpStatus } from '@nestjs/common';

/** 429: too many failed attempts for this account or from this address. */
export class TooManyAttempts extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  /** @param waitMs milliseconds until the next attempt is possible */
  constructor(waitMs: number) {
    super(
      {
        code: 'too_many_attempts',
        detail: 'Too many failed attempts. Try again after the time in Retry-After.',
      },
      HttpStatus.TOO_MANY_REQUESTS,
    );
    this.headers = { 'Retry-After': String(Math.max(1, Math.ceil(waitMs / 1000))) };
  }
}
