import { createHash, createPrivateKey, randomUUID } from 'node:crypto';
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { DEMO_FAPI_KEY, demoSecret } from '../../src/authorization-server/authorization-server.demo.js';
import { client, type TestResponse } from '../support/app.js';
import { signIn } from './browser.js';

export const VERIFIER = 'v'.repeat(43);
export const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');
export const WEB_CALLBACK = 'http://localhost:4000/callback';

export const basicOf = (id: string, secret = demoSecret(id)) => ({
  Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

type Form = Readonly<Record<string, string | readonly string[]>>;
type Headers = Readonly<Record<string, string>>;

/** The claims of a JWT, without verification. */
export const claimsOf = (token = ''): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
export const headerOf = (token = ''): Record<string, unknown> => claimsOf(`.${token.split('.')[0]}`);

export const formOf = (form: Form): string =>
  new URLSearchParams(
    Object.entries(form).flatMap(([name, value]) => [value].flat().map((each) => [name, each])),
  ).toString();

/** The single steps of an OAuth client. Tests override parameters to make a step wrong. */
export function oauthAt(origin: string) {
  const issuer = `${origin}/oidc`;

  /** Posts a form to a path below the issuer. */
  const post = (path: string, form: Form | string, headers: Headers = {}): Promise<TestResponse> =>
    client(origin).send('POST', `/oidc${path}`, {
      body: typeof form === 'string' ? form : formOf(form),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    });

  /** The URL of a valid authorization request of the demo client `web`. Omits parameters set to `''`. */
  const authorization = (more: Form = {}): URL => {
    const params = {
      client_id: 'web',
      response_type: 'code',
      redirect_uri: WEB_CALLBACK,
      scope: 'openid documents:read documents:write',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      state: 'of the application',
      nonce: 'n-0S6_WzA2Mj',
      ...more,
    };
    const url = new URL(`${issuer}/auth`);
    url.search = formOf(Object.fromEntries(Object.entries(params).filter(([, value]) => value !== '')));
    return url;
  };

  /** Sends an authorization request without a session. `to` is the target of a redirect. */
  const authorize = async (more: Form = {}) => {
    const response = await fetch(authorization(more), {
      redirect: 'manual',
      headers: { Accept: 'text/html' },
    });
    const location = response.headers.get('location');
    return {
      status: response.status,
      to: location ? new URL(location, origin) : undefined,
      text: await response.text(),
    };
  };

  /** An authorization code for a user. */
  const code = async (more: Form = {}, username = 'bob'): Promise<string> =>
    (await signIn({ origin }, authorization(more), username)).callback.searchParams.get('code') ?? '';

  const redeem = (given: string, more: Form = {}, headers: Headers = basicOf('web')): Promise<TestResponse> =>
    post(
      '/token',
      {
        grant_type: 'authorization_code',
        code: given,
        redirect_uri: WEB_CALLBACK,
        code_verifier: VERIFIER,
        ...more,
      },
      headers,
    );

  const refresh = (refresh_token: string, more: Form = {}, headers: Headers = basicOf('web')) =>
    post('/token', { grant_type: 'refresh_token', refresh_token, ...more }, headers);

  /** Access, refresh and ID token of a new consent. */
  const tokens = async (more: Form = {}) =>
    (
      await redeem(
        await code({
          scope: 'openid offline_access documents:read documents:write',
          prompt: 'consent',
          ...more,
        }),
      )
    ).body as { access_token: string; refresh_token: string; id_token: string };

  const introspect = async (token: string, as = 'resource-server') =>
    (await post('/token/introspection', { token }, basicOf(as))).body as Record<string, unknown>;

  return { issuer, post, authorization, authorize, code, redeem, refresh, tokens, introspect };
}

/** A client assertion (RFC 7523 section 3). */
export async function clientAssertion(
  issuer: string,
  claims: Record<string, unknown> = {},
  { key = DEMO_FAPI_KEY, alg = 'ES256', id = 'fapi' }: { key?: JWK; alg?: string; id?: string } = {},
): Promise<{ client_assertion_type: string; client_assertion: string }> {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: id, sub: id, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60, ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await new SignJWT(payload).setProtectedHeader({ alg }).sign(await importJWK(key, alg)),
  };
}

/** A client's DPoP key and its proofs (RFC 9449). */
export async function dpopKey() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  return {
    jkt: await calculateJwkThumbprint(jwk),
    proof: (htu: string, claims: Record<string, unknown> = {}) =>
      new SignJWT({ htm: 'POST', htu, jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .sign(privateKey),
  };
}

/** The published key of the demo's partner. */
export const PARTNER_KEY = createPrivateKey(
  '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGenrGEJmrwqP/9nELzrDT22KOlvsj4Tjtpcx1YLGtFb\n-----END PRIVATE KEY-----\n',
);

/** The claims of a valid assertion of the demo's partner about bob. */
export function partnerClaims(issuer: string): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const subject = { iss: 'https://partner.example', sub: 'robert@partner.example', aud: issuer };
  return { ...subject, iat: now, exp: now + 60, jti: randomUUID() };
}

/** A JWT bearer assertion (RFC 7523 section 2.1). The parameters override claims, headers and the key. */
export const partnerAssertion = (
  issuer: string,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = PARTNER_KEY,
): Promise<string> =>
  new SignJWT({ ...partnerClaims(issuer), ...claims })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'partner-demo', ...header })
    .sign(key);
