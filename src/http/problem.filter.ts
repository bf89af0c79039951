import { Catch, Logger, NotFoundException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { findCaller, rawResponse, type AdapterResponse } from '../authentication/request.js';
import { withRequirement } from '../authentication/step-up.js';
import type { Authenticator } from '../authentication/authenticator.js';
import { AllowedMethodsService, MethodNotAllowed } from './allowed-methods.service.js';
import { requestContext } from './request-context.js';
import { NotModified } from './preconditions.js';
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
    private readonly allowedMethods: AllowedMethodsService,
  ) {}

  catch(exception: unknown, context: ArgumentsHost): void {
    const http = this.host.httpAdapter;
    const response = context.switchToHttp().getResponse<AdapterResponse>();
    if (exception instanceof NotModified) return void http.reply(response, undefined, exception.getStatus());
    const raw = rawResponse(response);
    const request = requestContext.getStore();
    const thrown = request?.route === undefined ? this.withAllowedMethods(exception, raw) : exception;
    const caller = findCaller(context);
    this.rejectedRequests.notify(request?.client.ip ?? '', thrown, caller);
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

  /** Neither adapter distinguishes an unknown path from another method of a known one. */
  private withAllowedMethods(exception: unknown, { req }: ServerResponse): unknown {
    if (!(exception instanceof NotFoundException)) return exception;
    const [path = ''] = (req.url ?? '').split('?', 1);
    const methods = this.allowedMethods.of(path);
    return methods.length ? new MethodNotAllowed(methods) : exception;
  }
}

/** Logs type, message and stack only: a database error also carries the parameters of the query. */
function causeOf(error: unknown) {
  if (!(error instanceof Error)) return { event: 'failure', type: typeof error };
  return { event: 'failure', type: error.name, error: error.message, stack: error.stack };
}
