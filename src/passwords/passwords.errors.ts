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

/** 503: too many passwords are being verified in this process. */
export class TooManySignIns extends HttpException {
  readonly headers = { 'Retry-After': '1' };

  constructor() {
    super(
      { code: 'temporarily_unavailable', detail: 'Too many sign-ins are in progress. Try again.' },
      HttpStatus.SERVICE_UNAVAILABLE,
    );
  }
}
