import { Catch, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { Unauthenticated } from './challenge.js';

/** Puts the challenges of an {@link Unauthenticated} on the answer, in an application that has no filter of its own. */
@Catch(Unauthenticated)
export class ChallengeFilter extends BaseExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {
    super(host.httpAdapter);
  }

  override catch(error: Unauthenticated, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    for (const [name, value] of Object.entries(error.headers))
      this.host.httpAdapter.setHeader(response, name, value as string);
    super.catch(error, context);
  }
}
