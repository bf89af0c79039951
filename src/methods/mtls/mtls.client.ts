import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as send } from 'node:https';
import { buffer } from 'node:stream/consumers';

/**
 * A `fetch` that shows a certificate, on connections that are kept alive: `withCertificate({ cert, key, ca })(new
 * Request(url))`.
 * @param identity PEM: the certificate, its private key, and the CA that has issued the server's
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
    const sent = send(request.url, { agent, method: request.method, headers });
    sent.end(body.length ? body : undefined);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const status = answer.statusCode!;
    const lines = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    );
    const content = await buffer(answer);
    return new Response([204, 304].includes(status) ? null : content, { status, headers: lines });
  };
}
