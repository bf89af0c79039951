import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as sendRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';

/**
 * Returns a `fetch` that presents a client certificate, on connections that are kept alive:
 * `withCertificate({ cert, key, ca })(new Request(url))`.
 * @param identity PEM: the certificate, its private key, and the CA of the server's certificate
 */
export function withCertificate(identity: {
  cert: string;
  key: string;
  ca: string;
}): (request: Request) => Promise<Response> {
  const agent = new Agent({ ...identity, keepAlive: true });
  return async (request) => {
    const body = Buffer.from(await request.arrayBuffer());
    const headers = Object.fromEntries(request.headers);
    const sent = sendRequest(request.url, { agent, method: request.method, headers });
    sent.end(body.length ? body : undefined);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const status = response.statusCode!;
    const headerLines = Object.entries(response.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    );
    const content = await buffer(response);
    return new Response([204, 304].includes(status) ? null : content, { status, headers: headerLines });
  };
}
