import {
  ServerResponse,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
} from 'node:http';
import './request-context.js';
import { SECURITY_HEADERS } from './security-headers.js';

/** Node's response, with the headers of every response of this application. */
export class HttpResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  /** Whether the response depends on the `Origin` of the request. */
  variesByOrigin = false;

  // Node's declaration has two overloads. Fastify passes an object of headers here, and Express nothing.
  override writeHead(statusCode: number, ...rest: never[]): this {
    const [given = {}]: OutgoingHttpHeaders[] = rest;
    // A list of headers costs half as much as `setHeader`.
    const lines: OutgoingHttpHeader[] = ['X-Request-Id', this.req.requestContext?.requestId ?? ''];
    for (const [name, lowerCaseName, value] of SECURITY_HEADERS)
      if (given[lowerCaseName] === undefined && given[name] === undefined && !this.hasHeader(name))
        lines.push(name, value);
    if (this.variesByOrigin && this.hasHeader('Vary')) this.appendHeader('Vary', 'Origin');
    else if (this.variesByOrigin) lines.push('Vary', 'Origin');
    // Fastify adds `Content-Length: 0` where there is no length, which RFC 9110 section 8.6 forbids.
    const isHeadOfUnknownLength = this.req.method === 'HEAD' && given['content-length'] === '0';
    const hasNoLength = statusCode === 204 || statusCode === 304 || isHeadOfUnknownLength;
    for (const name in given) if (!(hasNoLength && name === 'content-length')) lines.push(name, given[name]!);
    return super.writeHead(statusCode, lines);
  }
}
