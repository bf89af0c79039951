import { randomBytes } from 'node:crypto';
import { SIGNED_IF_PRESENT, formatAuthorization, sign, stringToSign } from './hmac.js';

/** A key, and the public URL of the server that it is used with. */
export interface HmacClientOptions {
  readonly id: string;
  readonly secret: string;
  readonly audience: string;
}

/** Signs a request, which the server accepts once: `fetch(await withHmac({ id, secret, audience })(new Request(url)))`. */
export const withHmac =
  ({ id, secret, audience }: HmacClientOptions) =>
  async (request: Request): Promise<Request> => {
    const { host, pathname, search } = new URL(request.url);
    const headers = SIGNED_IF_PRESENT.filter((name) => request.headers.has(name));
    const parameters = {
      id,
      timestamp: Math.floor(Date.now() / 1000).toString(),
      nonce: randomBytes(16).toString('base64url'),
      headers,
    };
    const text = stringToSign({
      ...parameters,
      audience,
      method: request.method,
      authority: host,
      target: pathname + search,
      body: new Uint8Array(await request.clone().arrayBuffer()),
      fields: headers.map((name) => [name, request.headers.get(name)!]),
    });
    request.headers.set(
      'Authorization',
      formatAuthorization({ ...parameters, signature: sign(secret, text) }),
    );
    return request;
  };
