import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { findCaller, rawResponse, type AdapterResponse } from '../authentication/request.js';
import { withRequirement } from '../authentication/step-up.js';
import type { Authenticator } from '../authentication/authenticator.js';
import { requestContext } from './request-context.js';
import { PROBLEM_MEDIA_TYPE, problemHeaders, problemOf } from './problem.js';
import type { RejectedRequests } from '../authentication/ports.js';

/** Responds to every exception with `application/problem+json` (RFC 9457) on both adapters. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly authenticator: Authenticator,
    private readonly rejectedRequests: RejectedRequests,
  ) {}

  catch(thrown: unknown, context: ArgumentsHost): void {
    const http = this.host.httpAdapter;
    const response = context.switchToHttp().getResponse<AdapterResponse>();
    const raw = rawResponse(response);
    const request = requestContext.getStore();
    const caller = findCaller(context);
    this.rejectedRequests.notify(request?.details().ip ?? '', thrown, caller);
    const error = withRequirement(this.authenticator, thrown, caller);
    const problem = problemOf(error, request?.requestId);
    if (problem.status >= 500) this.logger.error(causeOf(error));
    if (raw.headersSent) {
      // Part of the response is sent. Abort the connection, so that the client does not take it for complete.
      if (!raw.writableEnded) raw.destroy();
      return;
    }
    const headers = {
      'Content-Type': PROBLEM_MEDIA_TYPE,
      'Cache-Control': 'no-store',
      ...problemHeaders(error),
    };
    for (const [name, value] of Object.entries(headers)) http.setHeader(response, name, value);
    http.reply(response, problem, problem.status);
  }
}

/** Logs type, message and stack only: a database error also carries the parameters of the query. */
function causeOf(error: unknown) {
  if (!(error instanceof Error)) return { event: 'failure', type: typeof error };
  return { event: 'failure', type: error.name, error: error.message, stack: error.stack };
}
