import {
  Catch,
  Injectable,
  Logger,
  NotFoundException,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { findCaller, rawResponse, type AdapterResponse } from '../authentication/request.js';
import { withRequirement } from '../authentication/step-up.js';
import { Authenticator } from '../authentication/authenticator.js';
import { AllowedMethodsService, MethodNotAllowed } from './allowed-methods.service.js';
import { requestContext } from './request-context.js';
import { NotModified } from './preconditions.js';
import { PROBLEM_MEDIA_TYPE, problemHeaders, problemOf, type Problem } from './problem.js';
import { RejectedRequests } from '../authentication/ports.js';

/** The response to an exception. */
export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: unknown;
}

const problemResponse = (problem: Problem, headers: ErrorResponse['headers']): ErrorResponse => ({
  status: problem.status,
  headers: { 'Content-Type': PROBLEM_MEDIA_TYPE, ...headers },
  body: problem,
});

/** Responds to every exception with `application/problem+json` (RFC 9457) on both adapters. */
@Injectable()
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
    this.respond(exception, context, problemResponse);
  }

  /**
   * Reports an exception to the log and to the listeners of rejected requests, and responds to it.
   * @param responseTo creates the response from the problem and the headers that belong to it
   */
  respond(exception: unknown, context: ArgumentsHost, responseTo: typeof problemResponse): void {
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
    const { status, headers, body } = responseTo(problem, problemHeaders(error));
    http.setHeader(response, 'Cache-Control', 'no-store');
    for (const [name, value] of Object.entries(headers)) http.setHeader(response, name, value as string);
    http.reply(response, body, status);
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
