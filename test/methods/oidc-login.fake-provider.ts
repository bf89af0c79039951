import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { OidcProvider } from '../../src/methods/oidc-login/oidc-login.config.js';

interface Key {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function newKey(kid: string | undefined, alg = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), ...(kid && { kid }) } };
}

/** The overrides by which a test makes the provider misbehave, with their defaults. */
const defaults = {
  /** The user who signs in. */
  sub: 'somebody',
  /** Overrides claims of the ID token; undefined omits one. */
  claims: {} as Record<string, unknown>,
  /** Overrides headers of the ID token. */
  header: {} as Record<string, unknown>,
  /** Changes the signed ID token. */
  transformIdToken: (idToken: string) => idToken,
  /** Overrides the metadata. */
  metadata: {} as Record<string, unknown>,
  /** Overrides the token response. */
  tokens: {} as Record<string, unknown>,
  checksPkce: true,
  /** Replaces the endpoint at a path. */
  handlers: {} as Record<string, (request: IncomingMessage, response: ServerResponse) => void>,
};

interface Grant {
  readonly query: URLSearchParams;
  readonly sub: string;
}

/** A minimal OpenID provider that follows the specification, except for its overrides. */
export class FakeProvider {
  readonly server = createServer((request, response) => void this.respond(request, response));
  issuer = '';
  overrides = noOverrides();
  /** The first key signs. */
  keys: Key[] = [];
  /** The number of requests per path. */
  requestCounts: Record<string, number> = {};
  /** The bodies of the token requests. */
  tokenRequests: URLSearchParams[] = [];
  private readonly grants = new Map<string, Grant>();

  static async start(): Promise<FakeProvider> {
    const fakeProvider = new FakeProvider();
    fakeProvider.server.listen(0, 'localhost');
    await once(fakeProvider.server, 'listening');
    fakeProvider.issuer = `http://localhost:${(fakeProvider.server.address() as AddressInfo).port}`;
    fakeProvider.keys = [await newKey('first')];
    return fakeProvider;
  }

  /** Removes all overrides and recorded requests. */
  reset(): void {
    this.overrides = noOverrides();
    this.requestCounts = {};
    this.tokenRequests = [];
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  /** Signs the user in for an authorization request. @returns the callback URL */
  authorize(location: string | URL): URL {
    const { searchParams: query } = new URL(location);
    const code = randomBytes(16).toString('base64url');
    this.grants.set(code, { query, sub: this.overrides.sub });
    const back = new URL(query.get('redirect_uri')!);
    back.search = String(new URLSearchParams({ code, state: query.get('state')!, iss: this.issuer }));
    return back;
  }

  /** Signs a JWT with the current key. */
  async idToken(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const [{ alg, privateKey, jwk }] = this.keys as [Key];
    const protectedHeader = { alg, ...(jwk.kid && { kid: jwk.kid }), ...header };
    return new SignJWT(claims).setProtectedHeader(protectedHeader).sign(privateKey);
  }

  private async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?');
    this.requestCounts[path] = (this.requestCounts[path] ?? 0) + 1;
    const handler = this.overrides.handlers[path];
    if (handler) {
      handler(request, response);
      return;
    }
    const endpoints: Record<string, () => object | Promise<object>> = {
      '/.well-known/openid-configuration': () => this.metadata(),
      '/jwks': () => ({ keys: this.keys.map(({ jwk }) => jwk) }),
      '/token': async () => this.redeem(new URLSearchParams(await text(request))),
    };
    const body = await endpoints[path]?.();
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
      ...this.overrides.metadata,
    };
  }

  private async redeem(body: URLSearchParams): Promise<object> {
    this.tokenRequests.push(body);
    const code = body.get('code') ?? '';
    const grant = this.grants.get(code);
    this.grants.delete(code);
    const challenge = createHash('sha256')
      .update(body.get('code_verifier') ?? '')
      .digest('base64url');
    const proved = challenge === grant?.query.get('code_challenge') || !this.overrides.checksPkce;
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
      auth_time: now,
      ...this.overrides.claims,
    };
    const kept = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
    const idToken = this.overrides.transformIdToken(await this.idToken(kept, this.overrides.header));
    return { access_token: 'opaque', token_type: 'Bearer', id_token: idToken, ...this.overrides.tokens };
  }
}

function noOverrides(): typeof defaults {
  return { ...defaults, claims: {}, header: {}, metadata: {}, tokens: {}, handlers: {} };
}

/** A provider's configuration with defaults. */
export const providerConfig = (
  issuer: string,
  more: Partial<OidcProvider> & Pick<OidcProvider, 'id'>,
): OidcProvider => ({
  name: more.id,
  issuer,
  clientId: 'atlas',
  clientAuth: 'client_secret_basic',
  clientSecret: 'secret',
  scopes: ['openid'],
  tenant: 'acme',
  claims: {},
  trustAmr: false,
  ...more,
});
