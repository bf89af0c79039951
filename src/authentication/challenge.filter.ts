import { Catch, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { Unauthenticated } from './challenge.js';

/** Adds the challenges to a 401, in an application without an exception filter of its own. */
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
