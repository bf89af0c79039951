import { Catch, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { Authenticator } from './authenticator.js';
import { findCaller } from './caller.js';
import { InsufficientCredential, Unauthenticated } from './challenge.js';

/** Puts challenges on the answers that have some, in an application that has no filter of its own. */
@Catch(Unauthenticated, InsufficientCredential)
export class ChallengeFilter extends BaseExceptionFilter {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly authenticator: Authenticator,
  ) {
    super(host.httpAdapter);
  }

  override catch(error: Unauthenticated | InsufficientCredential, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    const explained = this.authenticator.withRequirement(error, findCaller(context));
    const { headers = {} } = explained as Partial<Unauthenticated>;
    for (const [name, value] of Object.entries(headers))
      this.host.httpAdapter.setHeader(response, name, value as string);
    super.catch(explained, context);
  }
}
