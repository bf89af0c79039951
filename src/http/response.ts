import { ServerResponse, type OutgoingHttpHeaders } from 'node:http';

/** Node's response without the `Content-Length: 0` that Fastify adds where the length is none or unknown. */
export class HttpResponse extends ServerResponse {
  // Node's declaration has two overloads. Fastify passes all headers here, and Express none.
  override writeHead(statusCode: number, ...rest: never[]): this {
    const headers: OutgoingHttpHeaders | undefined = rest.at(-1);
    // RFC 9110 section 8.6 forbids it.
    const isWithoutLength = statusCode === 204 || statusCode === 304;
    if (headers && (isWithoutLength || (this.req.method === 'HEAD' && headers['content-length'] === '0')))
      delete headers['content-length'];
    return super.writeHead(statusCode, ...rest);
  }
}
