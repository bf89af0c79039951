import { HttpException } from '@nestjs/common';
import { STATUS_CODES, type ServerResponse } from 'node:http';
import { isDatabaseUnavailable } from '../database/database-errors.js';

/** One invalid field. `field` is a path such as `tags.0`, or `body` for the whole body. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** A problem (RFC 9457) with the additional members `code`, `requestId` and `errors`. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  /** Stable. docs/reference/errors.md lists every code. */
  readonly code: string;
  readonly detail: string;
  readonly requestId: string | undefined;
  readonly errors?: readonly FieldError[];
  /** Members of a single code, such as `mfa_token`. */
  readonly [member: string]: unknown;
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8';

/** Replaces the texts of Nest's and the adapters' errors, which may quote the path. */
const PROBLEM_BY_STATUS: Readonly<Record<number, { code: string; detail: string }>> = {
  400: { code: 'bad_request', detail: 'The request is malformed.' },
  401: { code: 'unauthenticated', detail: 'Authentication required.' },
  403: { code: 'forbidden', detail: 'You are not allowed to do this.' },
  404: { code: 'not_found', detail: 'Not found.' },
  405: { code: 'method_not_allowed', detail: 'This route does not support this HTTP method.' },
  408: { code: 'request_timeout', detail: 'The request was not received in time.' },
  413: { code: 'payload_too_large', detail: 'The body exceeds 256 KiB.' },
  415: {
    code: 'unsupported_media_type',
    detail: 'This route does not accept this body. Send application/json in UTF-8, without Content-Encoding.',
  },
  417: { code: 'expectation_failed', detail: 'The only supported expectation is 100-continue.' },
  429: { code: 'too_many_requests', detail: 'Too many requests. Try again later.' },
  431: { code: 'header_fields_too_large', detail: 'The header fields exceed 16 KiB or 200 lines.' },
  500: { code: 'internal_error', detail: 'An unexpected error occurred. Report the request id.' },
  501: { code: 'not_implemented', detail: 'The only supported transfer coding is chunked.' },
  503: { code: 'service_unavailable', detail: 'The service is unavailable. Try again later.' },
};

/** The response of an HttpException of this application. */
interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly members?: Readonly<Record<string, unknown>>;
}

const isProblemBody = (body: unknown): body is ProblemBody =>
  typeof body === 'object' && body !== null && 'code' in body && 'detail' in body;

/** Converts any thrown value. An error that is not known to be the client's is a 500 without details. */
export function problemOf(error: unknown, requestId: string | undefined): Problem {
  const body = error instanceof HttpException ? error.getResponse() : undefined;
  const status = statusOf(error);
  const { code, detail, errors, members }: ProblemBody = isProblemBody(body) ? body : problemByStatus(status);
  const title = STATUS_CODES[status] ?? 'Error';
  return {
    type: 'about:blank',
    title,
    status,
    code,
    detail,
    requestId,
    ...(errors && { errors }),
    ...members,
  };
}

export const problemByStatus = (status: number) =>
  PROBLEM_BY_STATUS[status] ?? PROBLEM_BY_STATUS[status < 500 ? 400 : 500]!;

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  if (isDatabaseUnavailable(error)) return 503;
  // Errors of Fastify and http-errors carry a status. Only a 4xx is the client's fault.
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

/** The headers that belong to an exception: `WWW-Authenticate`, `Retry-After`. Every 503 has the latter. */
export const problemHeaders = (error: unknown): Readonly<Record<string, string | string[]>> => ({
  ...(statusOf(error) === 503 && { 'Retry-After': '1' }),
  ...(error instanceof HttpException &&
    (error as { headers?: Readonly<Record<string, string | string[]>> }).headers),
});

/** Writes a problem without a framework: before routing, and for requests that an adapter rejects itself. */
export function writeProblem(response: ServerResponse, error: unknown, requestId: string | undefined): void {
  const problem = problemOf(error, requestId);
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, {
    ...problemHeaders(error),
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(body),
  });
  response.write(response.req.method === 'HEAD' ? '' : body);
}
