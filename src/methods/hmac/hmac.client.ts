import { randomBytes } from 'node:crypto';
import { MUST_BE_SIGNED, formatAuthorization, macOf, textOf } from './hmac.js';

/** A key as its owner has it, and the public URL of the one server that it is used at. */
export interface HmacClient {
  readonly id: string;
  readonly secret: string;
  readonly audience: string;
}

/** Signs a request, which is good once: `fetch(await withHmac({ id, secret, audience })(new Request(url)))`. */
export const withHmac =
  ({ id, secret, audience }: HmacClient) =>
  async (request: Request): Promise<Request> => {
    const { host, pathname, search } = new URL(request.url);
    const names = MUST_BE_SIGNED.filter((name) => request.headers.has(name));
    const sent = {
      id,
      timestamp: Math.floor(Date.now() / 1000).toString(),
      nonce: randomBytes(16).toString('base64url'),
      headers: names,
    };
    const text = textOf({
      ...sent,
      audience,
      method: request.method,
      authority: host,
      target: pathname + search,
      body: new Uint8Array(await request.clone().arrayBuffer()),
      fields: names.map((name) => [name, request.headers.get(name)!]),
    });
    request.headers.set('Authorization', formatAuthorization({ ...sent, signature: macOf(secret, text) }));
    return request;
  };
