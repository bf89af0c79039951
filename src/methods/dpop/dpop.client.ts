import { createPublicKey, randomUUID, sign, type KeyObject } from 'node:crypto';
import { accessTokenHash } from './dpop.js';

/** The request that a proof is for. */
export interface ProofParts {
  readonly method: string;
  /** The query and the fragment are removed. */
  readonly url: string;
  readonly nonce?: string | undefined;
  /** The access token of the request. Absent in a token request (RFC 9449 section 5). */
  readonly accessToken?: string | undefined;
}

/**
 * Creates a proof for the `DPoP` header (RFC 9449 section 4.2).
 * @param key a private key on P-256
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
  const signingInput = `${head}.${payload}`;
  const signature = sign('sha256', Buffer.from(signingInput), { key, dsaEncoding: 'ieee-p1363' });
  return `${signingInput}.${signature.toString('base64url')}`;
}

/** `sign` requests a new nonce if the last one is older than this. */
const NONCE_REUSE_MS = 30_000;

/**
 * Sends requests with an access token that is bound to a key, and stores the newest nonce of each server.
 *
 *     const client = new DpopClient(key, accessToken);
 *     await client.fetch(new Request(url));
 */
export class DpopClient {
  /** By origin, because each server issues its own nonces (RFC 9449 section 8.2). */
  private readonly nonces = new Map<string, { nonce: string; at: number }>();

  /** @param key a private key on P-256. The access token holds its thumbprint as `cnf.jkt` */
  constructor(
    private readonly key: KeyObject,
    private readonly accessToken: string,
  ) {}

  /** Adds the token and a proof, for code that sends the request itself. Fetches a nonce first if there is no recent one. */
  readonly sign = async (request: Request): Promise<Request> => {
    const known = this.nonces.get(new URL(request.url).origin);
    if (!known || known.at < Date.now() - NONCE_REUSE_MS) await this.send(new Request(request.url));
    return this.addProof(request);
  };

  /** Signs and sends a request. Repeats it once if the server requires another nonce. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const retry = request.clone();
    const response = await this.send(this.addProof(request));
    const needsNonce =
      response.status === 401 && response.headers.get('WWW-Authenticate')?.includes('error="use_dpop_nonce"');
    return needsNonce ? this.send(this.addProof(retry)) : response;
  };

  private addProof(request: Request): Request {
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
