import { STATUS_CODES } from 'node:http';
import type { ErrorCode } from '../authentication/describe.js';
import { problemByStatus } from './problem.js';

/** RFC 9457, with the additional members of this application. */
export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'RFC 9457. `code` is stable; docs/reference/errors.md lists every one.',
  required: ['type', 'title', 'status', 'code', 'detail', 'requestId'],
  properties: {
    type: { const: 'about:blank' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    requestId: { type: 'string', format: 'uuid' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
        additionalProperties: false,
      },
    },
    mfa_token: { type: 'string', description: 'Of `mfa_required`: the ticket for `POST /auth/mfa`.' },
    factors: {
      type: 'array',
      items: { type: 'string' },
      description: 'Of `mfa_required`: the second factors of the account.',
    },
    expires_in: { type: 'integer', description: 'Of `mfa_required`: seconds until the ticket expires.' },
  },
  additionalProperties: false,
};

/** Of every route: the server rejects the request before it reaches the route, or fails. */
export const SERVER_ERRORS: readonly ErrorCode[] = [
  '400 bad_request',
  '400 invalid_target',
  '400 host_required',
  '400 invalid_host',
  '400 duplicate_header',
  '400 invalid_json',
  '400 too_many_parameters',
  '408 request_timeout',
  '413 payload_too_large',
  '415 unsupported_media_type',
  '417 expectation_failed',
  '429 too_many_requests',
  '431 header_fields_too_large',
  '500 internal_error',
  '501 not_implemented',
  '503 service_unavailable',
];

/** The headers that an error always has, or may have. */
const HEADERS_BY_STATUS: Readonly<Record<string, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  403: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

const HEADERS: Readonly<Record<string, { description: string; example: string }>> = {
  'X-Request-Id': {
    description: 'The id of the request in the log.',
    example: '0b6f5cf2-3f0b-4f43-9c2a-6a2f3f0c4c58',
  },
  ETag: { description: 'The version of the resource, for `If-Match` and `If-None-Match`.', example: '"1"' },
  Location: {
    description: 'The URL of the created resource, or of the next page of a browser.',
    example: '/documents/1',
  },
  'Retry-After': { description: 'Seconds until a further request can succeed.', example: '60' },
  'WWW-Authenticate': {
    description: 'A challenge for each accepted method, or what the credential lacks.',
    example: 'Basic realm="auth-atlas"',
  },
  'Set-Cookie': {
    description: 'The cookie of a session or of a pending sign-in.',
    example: 'session-dev=…; HttpOnly',
  },
};

/** The `code`s of a list of errors, by status. */
export function codesByStatus(errors: readonly ErrorCode[]): Map<string, readonly string[]> {
  const result = new Map<string, readonly string[]>();
  for (const error of [...new Set(errors)].sort()) {
    const [status = '', code = ''] = error.split(' ');
    result.set(status, [...(result.get(status) ?? []), code]);
  }
  return result;
}

const ref = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

export const headerRefs = (names: readonly string[]) =>
  Object.fromEntries([...new Set(['X-Request-Id', ...names])].map((name) => [name, ref('headers', name)]));

/** The response of a status with these codes. Each code is also the name of an example. */
export const problemResponse = (
  status: string,
  codes: readonly string[],
  headers: readonly string[] = [],
) => ({
  description: codes.map((code) => `\`${code}\``).join(', '),
  headers: headerRefs([...(HEADERS_BY_STATUS[status] ?? []), ...headers]),
  content: {
    'application/problem+json': {
      schema: ref('schemas', 'Problem'),
      examples: Object.fromEntries(codes.map((code) => [code, ref('examples', `${status}_${code}`)])),
    },
  },
});

export function problemExample(status: string, code: string) {
  const { code: general, detail } = problemByStatus(Number(status));
  const words = code.replaceAll('_', ' ');
  return {
    value: {
      type: 'about:blank',
      title: STATUS_CODES[status] ?? 'Error',
      status: Number(status),
      code,
      detail: code === general ? detail : `${words[0]?.toUpperCase()}${words.slice(1)}.`,
      requestId: '0b6f5cf2-3f0b-4f43-9c2a-6a2f3f0c4c58',
    },
  };
}

export function headerOf(name: string) {
  const { description = '', example } = HEADERS[name] ?? {};
  return { description, schema: { type: 'string' }, ...(example && { example }) };
}
