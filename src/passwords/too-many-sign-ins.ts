import { HttpException, HttpStatus } from '@nestjs/common';

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
