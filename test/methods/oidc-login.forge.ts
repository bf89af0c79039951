import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

interface Key {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function newKey(kid: string | undefined, alg = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), ...(kid && { kid }) } };
}

/** What a provider that lies can lie about. Each is the truth until a test changes it. */
const honest = {
  /** Who has signed in. */
  sub: 'somebody',
  /** Changes to the ID token's claims; undefined takes one out. */
  claims: {} as Record<string, unknown>,
  /** Changes to its header. */
  header: {} as Record<string, unknown>,
  /** What becomes of the finished token. */
  alter: (idToken: string) => idToken,
  /** Changes to what discovery says. */
  metadata: {} as Record<string, unknown>,
  /** Changes to the token endpoint's answer. */
  tokens: {} as Record<string, unknown>,
  checksPkce: true,
  /** Answers in place of the endpoint at this path. */
  instead: {} as Record<string, (request: IncomingMessage, response: ServerResponse) => void>,
};

interface Grant {
  readonly query: URLSearchParams;
  readonly sub: string;
}

/** A provider that does what the specification says, in as few lines as it takes, until it is told to lie. */
export class Forge {
  readonly server = createServer((request, response) => void this.answer(request, response));
  issuer = '';
  lies = truth();
  /** The first one signs. */
  keys: Key[] = [];
  /** How often each path was asked for. */
  asked: Record<string, number> = {};
  /** The bodies that came to the token endpoint. */
  exchanged: URLSearchParams[] = [];
  private readonly grants = new Map<string, Grant>();

  static async start(): Promise<Forge> {
    const forge = new Forge();
    forge.server.listen(0, 'localhost');
    await once(forge.server, 'listening');
    forge.issuer = `http://localhost:${(forge.server.address() as AddressInfo).port}`;
    forge.keys = [await newKey('first')];
    return forge;
  }

  /** Tells the truth again, and forgets what it was asked. */
  reset(): void {
    this.lies = truth();
    this.asked = {};
    this.exchanged = [];
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  /** Somebody signs in there, for the request in an authorization URL. @returns where the browser is sent back to */
  authorize(location: string | URL): URL {
    const { searchParams: query } = new URL(location);
    const code = randomBytes(16).toString('base64url');
    this.grants.set(code, { query, sub: this.lies.sub });
    const back = new URL(query.get('redirect_uri')!);
    back.search = String(new URLSearchParams({ code, state: query.get('state')!, iss: this.issuer }));
    return back;
  }

  /** Any ID token, signed by the current key. */
  async idToken(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const [{ alg, privateKey, jwk }] = this.keys as [Key];
    const protectedHeader = { alg, ...(jwk.kid && { kid: jwk.kid }), ...header };
    return new SignJWT(claims).setProtectedHeader(protectedHeader).sign(privateKey);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?');
    this.asked[path] = (this.asked[path] ?? 0) + 1;
    const instead = this.lies.instead[path];
    if (instead) {
      instead(request, response);
      return;
    }
    const answers: Record<string, () => object | Promise<object>> = {
      '/.well-known/openid-configuration': () => this.metadata(),
      '/jwks': () => ({ keys: this.keys.map(({ jwk }) => jwk) }),
      '/token': async () => this.exchange(new URLSearchParams(await text(request))),
    };
    const body = await answers[path]?.();
    const status = !body ? 404 : 'error' in body ? 400 : 200;
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body ?? {}));
  }

  private metadata(): object {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/auth`,
      token_endpoint: `${this.issuer}/token`,
      userinfo_endpoint: `${this.issuer}/userinfo`,
      jwks_uri: `${this.issuer}/jwks`,
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
      authorization_response_iss_parameter_supported: true,
      ...this.lies.metadata,
    };
  }

  private async exchange(body: URLSearchParams): Promise<object> {
    this.exchanged.push(body);
    const code = body.get('code') ?? '';
    const grant = this.grants.get(code);
    this.grants.delete(code);
    const challenge = createHash('sha256')
      .update(body.get('code_verifier') ?? '')
      .digest('base64url');
    const proved = challenge === grant?.query.get('code_challenge') || !this.lies.checksPkce;
    if (!grant || !proved || body.get('redirect_uri') !== grant.query.get('redirect_uri'))
      return { error: 'invalid_grant', error_description: '<script>alert(1)</script>' };
    const now = Math.floor(Date.now() / 1000);
    const claims: Record<string, unknown> = {
      iss: this.issuer,
      aud: grant.query.get('client_id'),
      sub: grant.sub,
      nonce: grant.query.get('nonce'),
      iat: now,
      exp: now + 300,
      ...this.lies.claims,
    };
    const kept = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
    const idToken = this.lies.alter(await this.idToken(kept, this.lies.header));
    return { access_token: 'opaque', token_type: 'Bearer', id_token: idToken, ...this.lies.tokens };
  }
}

function truth(): typeof honest {
  return { ...honest, claims: {}, header: {}, metadata: {}, tokens: {}, instead: {} };
}
