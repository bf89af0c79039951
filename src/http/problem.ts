import { HttpException } from '@nestjs/common';
import { STATUS_CODES, type ServerResponse } from 'node:http';

/** One field that did not fit its schema; `field` is a path such as `tags.0`, or `body` for the whole. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** What a caller is told of a failure (RFC 9457, with `code` and `requestId` added). */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  /** Stable; docs/reference/errors.md lists them all. */
  readonly code: string;
  readonly detail: string;
  readonly requestId: string | undefined;
  readonly errors?: readonly FieldError[];
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** For errors that are not ours (Nest's, the framework's): their own words may quote the path, so these stand in. */
const FIXED: Readonly<Record<number, { code: string; detail: string }>> = {
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
  431: { code: 'header_fields_too_large', detail: 'The header fields exceed 16 KiB.' },
  500: { code: 'internal_error', detail: 'An unexpected error occurred. Report the request id.' },
  503: { code: 'service_unavailable', detail: 'The service is unavailable. Try again later.' },
};

/** An HttpException of this application: its response says what to tell, its headers what to send. */
interface OwnBody {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
}

const isOwn = (body: unknown): body is OwnBody =>
  typeof body === 'object' && body !== null && 'code' in body && 'detail' in body;

/** Any thrown value as a problem. What is not known to be the caller's fault is a 500 without a word of its cause. */
export function problemOf(error: unknown, requestId: string | undefined): Problem {
  const own = error instanceof HttpException ? error.getResponse() : undefined;
  const status = statusOf(error);
  const { code, detail, errors } = isOwn(own) ? own : { ...fixed(status), errors: undefined };
  const title = STATUS_CODES[status] ?? 'Error';
  return { type: 'about:blank', title, status, code, detail, requestId, ...(errors && { errors }) };
}

const fixed = (status: number) => FIXED[status] ?? (status < 500 ? FIXED[400]! : FIXED[500]!);

/**
 * A database that cannot be reached, shuts down or has no connection left is not a fault of this program: what is
 * asked can be asked again. Node's names, and PostgreSQL's (Appendix A of its manual: classes 08, 53 and 57).
 */
const UNAVAILABLE =
  /^(?:ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|SQLITE_BUSY|08\w{3}|53\w{3}|57P\d\d)$/;
/** What pg says itself, without a code. */
const DROPPED = /^(?:Connection terminated|timeout exceeded when trying to connect)/;

export const isUnavailable = (error: unknown): boolean =>
  error instanceof Error &&
  (UNAVAILABLE.test(String((error as { code?: unknown }).code)) || DROPPED.test(error.message));

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  if (isUnavailable(error)) return 503;
  // Fastify's and http-errors' errors carry their status; only a 4xx is believed to be the caller's fault.
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

/** The headers an exception asks for: `WWW-Authenticate`, `Retry-After`. */
export const headersOf = (error: unknown): Readonly<Record<string, string | string[]>> =>
  isUnavailable(error)
    ? { 'Retry-After': '1' }
    : error instanceof HttpException
      ? ((error as { headers?: Readonly<Record<string, string | string[]>> }).headers ?? {})
      : {};

/** Writes a problem where no framework is at hand: before routing, and for what a framework refuses by itself. */
export function writeProblem(response: ServerResponse, error: unknown, requestId: string | undefined): void {
  const problem = problemOf(error, requestId);
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, {
    ...headersOf(error),
    'Content-Type': PROBLEM_TYPE,
    'Content-Length': Buffer.byteLength(body),
  });
  response.write(response.req.method === 'HEAD' ? '' : body);
}
