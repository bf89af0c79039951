import { createPublicKey, randomUUID, sign, type KeyObject } from 'node:crypto';
import { accessTokenHash } from './dpop.js';

/** What a proof says; what is left out is made up as it should be. */
export interface ProofParts {
  readonly method: string;
  /** With or without its query, which no proof has. */
  readonly url: string;
  readonly nonce?: string | undefined;
  /** The access token that it goes with; none where it goes with the request for one. */
  readonly accessToken?: string | undefined;
}

/**
 * A proof (RFC 9449, section 4.2), for the header `DPoP`.
 * @param key the private key, of the curve P-256
 */
export function dpopProof(key: KeyObject, { method, url, nonce, accessToken }: ProofParts): string {
  const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } };
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: url.replace(/[?#].*$/s, ''),
    iat: Math.floor(Date.now() / 1000),
    ...(nonce !== undefined && { nonce }),
    ...(accessToken !== undefined && { ath: accessTokenHash(accessToken) }),
  };
  const [head, payload] = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signed = `${head}.${payload}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** Milliseconds after which a nonce is asked for anew rather than tried. */
const KEPT = 30_000;

/**
 * Calls with an access token that is bound to a key, and learns the nonces of the servers that it calls.
 *
 *     const client = new DpopClient(key, accessToken);
 *     await client.fetch(new Request(url));
 */
export class DpopClient {
  /** The newest nonce of each server, by its origin: each has its own (section 8.2). */
  private readonly nonces = new Map<string, { nonce: string; at: number }>();

  /** @param key the private key, of the curve P-256, whose thumbprint the token has as `cnf.jkt` */
  constructor(
    private readonly key: KeyObject,
    private readonly accessToken: string,
  ) {}

  /** Adds token and proof, for whoever sends by itself. Asks for a nonce first where it has none that is new. */
  readonly sign = async (request: Request): Promise<Request> => {
    const known = this.nonces.get(new URL(request.url).origin);
    if (!known || known.at < Date.now() - KEPT) await this.send(new Request(request.url));
    return this.signed(request);
  };

  /** Signs and sends, and once more where the server asks for another nonce. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const again = request.clone();
    const response = await this.send(this.signed(request));
    const asks =
      response.status === 401 && response.headers.get('WWW-Authenticate')?.includes('error="use_dpop_nonce"');
    return asks ? this.send(this.signed(again)) : response;
  };

  private signed(request: Request): Request {
    const { method, url } = request;
    const nonce = this.nonces.get(new URL(url).origin)?.nonce;
    const { accessToken } = this;
    request.headers.set('Authorization', `DPoP ${accessToken}`);
    request.headers.set('DPoP', dpopProof(this.key, { method, url, nonce, accessToken }));
    return request;
  }

  private async send(request: Request): Promise<Response> {
    const response = await fetch(request);
    const nonce = response.headers.get('DPoP-Nonce');
    if (nonce) this.nonces.set(new URL(request.url).origin, { nonce, at: Date.now() });
    return response;
  }
}
