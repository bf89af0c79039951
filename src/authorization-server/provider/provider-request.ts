import { createLocalJWKSet, jwtVerify } from 'jose';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { parse, stringify } from 'node:querystring';
import { Readable } from 'node:stream';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { AccessToken } from '../../access-tokens/access-token.entity.js';
import type { Actor } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Settings } from '../../config/settings.js';
import { readAccessToken } from '../../crypto/jws.js';
import type { SigningKeys } from '../../crypto/signing-keys.service.js';

/** A request that was passed to oidc-provider, with the data that this application adds. */
interface ProviderRequest extends IncomingMessage {
  readonly authRequest: AuthRequest;
  readonly presentedJwt: PresentedJwt | undefined;
  readonly hasValidCertificate: boolean;
}

/** A JWT access token in a request, after its signature was verified. */
export interface PresentedJwt {
  readonly jti: string;
  /** The text by which oidc-provider looks the token up. */
  readonly token: string;
  /** Replaces the body of the request. */
  readonly body?: Buffer;
}

/** The results of asynchronous checks, because some hooks of oidc-provider are synchronous. */
interface CheckedRequest {
  /** See {@link presentedJwt}. */
  readonly jwt: PresentedJwt | undefined;
  readonly hasValidCertificate: boolean;
}

interface HasRequest {
  readonly req: IncomingMessage;
}

/** The {@link AuthRequest} of a request that oidc-provider handles. */
export const authRequestOfKoa = ({ req }: HasRequest): AuthRequest => (req as ProviderRequest).authRequest;

/** See {@link presentedJwt}. */
export const presentedJwtOf = (ctx: HasRequest | undefined): PresentedJwt | undefined =>
  (ctx?.req as ProviderRequest | undefined)?.presentedJwt;

/** Whether the client of the TLS connection presented a valid certificate of the listener's own CA. */
export const hasValidCertificate = ({ req }: HasRequest): boolean =>
  (req as ProviderRequest).hasValidCertificate;

const UNCHECKED: CheckedRequest = { jwt: undefined, hasValidCertificate: false };

/**
 * Creates the request that oidc-provider handles: relative to its mount path, with an unread body. Its host is that of
 * PUBLIC_URL, not of the Host header, because oidc-provider writes absolute URLs into its responses.
 *
 * @param path below `/oidc`, with the query
 */
export function providerRequest(
  raw: IncomingMessage,
  authRequest: AuthRequest,
  { publicUrl }: Settings,
  path: string,
  { jwt, hasValidCertificate }: CheckedRequest = UNCHECKED,
): IncomingMessage {
  const body = jwt?.body ?? authRequest.rawBody ?? Buffer.alloc(0);
  // Settings has checked that PUBLIC_URL is an origin.
  const [scheme = '', host = ''] = publicUrl.split('://');
  const headers = {
    ...raw.headers,
    ...(body.length && { 'content-length': String(body.length) }),
    host,
    'x-forwarded-host': host,
    'x-forwarded-proto': scheme,
    'x-forwarded-for': authRequest.ip,
  };
  return Object.create(raw, {
    url: { value: path, writable: true },
    // oidc-provider derives its mount path from the two URLs.
    originalUrl: {
      get(this: IncomingMessage) {
        return `/oidc${this.url}`;
      },
    },
    headers: { value: headers },
    readable: { value: true },
    readableEncoding: { value: null },
    iterator: { value: () => Readable.from(body.length ? [body] : []) },
    authRequest: { value: authRequest },
    presentedJwt: { value: jwt },
    hasValidCertificate: { value: hasValidCertificate },
  }) as ProviderRequest;
}

/** oidc-provider supports only GET here. The PostedRequests of the folder `consent` accept POST. */
export const POSTED_PATHS = ['/auth', '/session/end'];

/** Token introspection (RFC 7662) and revocation (RFC 7009). */
const TOKEN_PATHS = ['/token/introspection', '/token/revocation'];
/** Names no token, so oidc-provider responds as to an unknown one. */
const NO_TOKEN = '-';

const USERINFO_PATH = '/me';

/**
 * oidc-provider finds only tokens that it stores, and it stores no JWT. This server stores a row per JWT, which the storage
 * adapter finds by the `jti`. For introspection and revocation, the `jti` also replaces the JWT in the form, because
 * oidc-provider rejects JWTs there. A JWT that this server did not sign counts as an unknown token.
 *
 * @param path below `/oidc`, with the query
 * @returns undefined if the request is another one or its token is no JWT
 */
export async function presentedJwt(
  path: string,
  request: AuthRequest,
  keys: SigningKeys,
  issuer: string,
): Promise<PresentedJwt | undefined> {
  const [pathname = ''] = path.split('?', 1);
  const form = () => parse(request.rawBody?.toString('utf8') ?? '');
  if (TOKEN_PATHS.includes(pathname)) {
    const { token, ...others } = form();
    if (typeof token !== 'string' || !token.includes('.')) return undefined;
    const jti = (await verifiedJti(token, keys, issuer)) ?? NO_TOKEN;
    return { jti, token: jti, body: Buffer.from(stringify({ ...others, token: jti })) };
  }
  if (pathname !== USERINFO_PATH) return undefined;
  const token = request.header('Authorization')?.split(' ')[1] ?? form()['access_token'];
  const jti = typeof token === 'string' ? await verifiedJti(token, keys, issuer) : undefined;
  return jti === undefined ? undefined : { jti, token: token as string };
}

async function verifiedJti(token: string, keys: SigningKeys, issuer: string): Promise<string | undefined> {
  // The client is not authenticated yet: this limits the length before anything is parsed.
  if (!readAccessToken(token, 'ES256')) return undefined;
  const published = createLocalJWKSet({ keys: await keys.jwks() });
  try {
    const { payload } = await jwtVerify(token, published, { issuer, typ: 'at+jwt', algorithms: ['ES256'] });
    return payload.jti;
  } catch {
    return undefined;
  }
}

/** The token exchange (RFC 8693) that a request performs: its subject token, and the `act` claim of the new token. */
export interface TokenExchangeState {
  readonly subject: AccessToken;
  readonly act: Actor;
}

/** Reads the exchange from Koa's `ctx.state`, because oidc-provider passes no such data to its hooks and adapters. */
export const tokenExchangeOf = (ctx: KoaContextWithOIDC | undefined): TokenExchangeState | undefined =>
  (ctx?.state as { tokenExchange?: TokenExchangeState } | undefined)?.tokenExchange;

export function setTokenExchange(ctx: KoaContextWithOIDC, tokenExchange: TokenExchangeState): void {
  Object.assign(ctx.state, { tokenExchange });
}

/**
 * The id of the refresh token that follows the one in the request. The storage adapter chooses it, because a repeated refresh
 * returns the same one.
 */
export const successorOf = (ctx: KoaContextWithOIDC | undefined): string | undefined =>
  (ctx?.state as { successor?: string } | undefined)?.successor;

export function setSuccessor(ctx: KoaContextWithOIDC, successor: string): void {
  Object.assign(ctx.state, { successor });
}

interface RequestState {
  /** Epochs by account id. */
  readonly epochs: Map<string, number>;
  readonly browserSecret: string | undefined;
}

/**
 * An AsyncLocalStorage, because oidc-provider calls its adapters without the request, also from outside its own request
 * handler, where `Provider.ctx` is undefined: the interaction pages.
 */
const requestState = new AsyncLocalStorage<RequestState>();

/**
 * Handles one request. Everything that it stores for an account has the same epoch, see {@link epochInRequest}.
 * @param browserSecret binds interactions to one browser; undefined for a request that uses none
 */
export const withRequestState = <Result>(
  browserSecret: string | undefined,
  handle: () => Promise<Result>,
): Promise<Result> => requestState.run({ epochs: new Map(), browserSecret }, handle);

/** @throws Error in a request without interactions */
export function browserSecretOfRequest(): string {
  const { browserSecret } = requestState.getStore() ?? {};
  if (browserSecret === undefined) throw new Error('This request has no secret of a browser.');
  return browserSecret;
}

/**
 * The epoch for everything that the current request stores for an account: the first that it read. If "log out everywhere"
 * happens during the request, the stored records are invalid from the start.
 */
export function epochInRequest(accountId: string, epoch: number): number {
  const known = requestState.getStore()?.epochs;
  const first = known?.get(accountId) ?? epoch;
  known?.set(accountId, first);
  return first;
}
