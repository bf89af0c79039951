import { BadRequestException } from '@nestjs/common';
import { hash, randomBytes } from 'node:crypto';
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { decodeProtectedHeader } from 'jose';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Agent } from 'undici';
import type { AuthRequest } from '../../authentication/request.js';
import type { Settings } from '../../config/settings.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';
import { importStrongJwk } from '../../crypto/public-keys.js';
import { errors } from './oidc-provider.js';
import { browserSecretOfRequest } from './provider-request.js';

export const INTERACTION_LIFETIME_SECONDS = 10 * 60;

/**
 * Over HTTPS, prefixes keep a sibling host and plain HTTP from overwriting cookies (RFC 6265bis section 4.1.3). A sibling host
 * can still set `__Secure-` cookies. Those of an interaction have a path of their own, which `__Host-` does not allow, so
 * the secret in `browser` binds interactions to the browser that started them.
 */
function cookieNames({ publicUrl }: Settings) {
  const https = publicUrl.startsWith('https:');
  const cookieName = (prefix: string, name: string) => (https ? `${prefix}${name}` : `${name}-dev`);
  return {
    session: cookieName('__Host-', 'oauth-session'),
    browser: cookieName('__Host-', 'oauth-browser'),
    interaction: cookieName('__Secure-', 'oauth-interaction'),
    resume: cookieName('__Secure-', 'oauth-resume'),
  };
}

/** The cookies of oidc-provider, all signed. */
export function cookies(settings: Settings): Configuration['cookies'] {
  const https = settings.publicUrl.startsWith('https:');
  const { session, interaction, resume } = cookieNames(settings);
  const attributes = { signed: true, httpOnly: true, sameSite: 'lax', secure: https } as const;
  return {
    names: { session, interaction, resume },
    // The first key signs. Signatures of the previous APP_SECRET stay valid.
    keys: new DerivedKeys(settings, 'oauth cookies').all.map((key) => key.export().toString('base64url')),
    long: attributes,
    short: attributes,
  };
}

/** @throws BadRequestException `duplicate_cookie` for several sessions or secrets: an attacker may have planted one of them */
export function rejectDuplicateCookies(request: AuthRequest, settings: Settings): void {
  const { session, browser } = cookieNames(settings);
  const name = [session, browser].find((each) => request.cookies(each).length > 1);
  const detail = `The cookie ${name} came twice.`;
  if (name) throw new BadRequestException({ code: 'duplicate_cookie', detail });
}

/**
 * Koa middleware that removes the headers of cross-origin resource sharing for all origins but those of clients' pages.
 * oidc-provider reflects every origin in a preflight, in a response before it knows the client, and with public metadata.
 */
export const shareWithPagesOf =
  (isKnown: (origin: string) => Promise<boolean>): Parameters<Provider['use']>[0] =>
  async (ctx, next) => {
    const origin = ctx.get('Origin');
    const isAllowed = origin !== '' && (await isKnown(origin));
    try {
      await next();
    } finally {
      const { 'access-control-allow-origin': allowed } = ctx.response.headers;
      const names = Object.keys(ctx.response.headers).filter((name) => name.startsWith('access-control-'));
      if (!isAllowed || allowed !== origin) for (const name of names) ctx.remove(name);
    }
  };

const BROWSER_SECRET = /^[\w-]{43}$/;

/** The secret of a browser from its cookie. A new one, which matches no stored interaction, if it is absent or malformed. */
export function readBrowserSecret(request: AuthRequest, settings: Settings): string {
  const [secret = ''] = request.cookies(cookieNames(settings).browser);
  return BROWSER_SECRET.test(secret) ? secret : randomBytes(32).toString('base64url');
}

/** The digest of the secret, which is stored with an interaction. */
export const browserBinding = (): string => hash('sha256', browserSecretOfRequest(), 'base64url');

/** Sends the secret of the browser, or renews its expiry, so that it lives as long as the newest interaction. */
export function setBrowserCookie(ctx: KoaContextWithOIDC, settings: Settings): void {
  ctx.cookies.set(cookieNames(settings).browser, browserSecretOfRequest(), {
    signed: false,
    httpOnly: true,
    sameSite: 'lax',
    secure: settings.publicUrl.startsWith('https:'),
    maxAge: INTERACTION_LIFETIME_SECONDS * 1000,
  });
}

/**
 * Sender-constrained tokens by DPoP (RFC 9449). Every response to a proof carries a nonce. Clients that must bind their tokens
 * must use it, so that their proofs cannot be created in advance.
 */
export const dpop = (settings: Settings): NonNullable<Configuration['features']>['dPoP'] => ({
  enabled: true,
  nonceSecret: new DerivedKeys(settings, 'oauth dpop nonces').current.key.export(),
  requireNonce: (ctx) => {
    // The only hook that is called before oidc-provider verifies a proof.
    if (hasWeakKey(ctx.get('DPoP'))) throw new errors.InvalidDpopProof('the key of the proof is too weak');
    return Boolean(ctx.oidc.client?.dpopBoundAccessTokens);
  },
});

/** False for a proof without a key, which oidc-provider rejects. */
function hasWeakKey(proof: string): boolean {
  try {
    const { jwk } = decodeProtectedHeader(proof);
    return jwk !== undefined && !importStrongJwk(jwk);
  } catch {
    return false;
  }
}

/**
 * Requests to the URLs of clients (`jwks_uri`, `backchannel_logout_uri`), without redirects. In production, only to public
 * addresses (OWASP SSRF Prevention Cheat Sheet). Clients in development need others.
 */
export function outboundRequests({ production }: Pick<Settings, 'production'>): Configuration {
  let agent: Agent | undefined;
  return {
    fetch: async (url, options) => {
      // The dispatcher of oidc-provider checks the address after it has connected, and some addresses not at all.
      const { dispatcher: _ignored, ...init } = options as RequestInit & { dispatcher?: unknown };
      if (!production) return fetch(url, { ...init, redirect: 'error' });
      const target = new URL(url as string);
      const literal = target.hostname.replace(/^\[|\]$/g, '');
      if (isIP(literal)) assertPublicAddress(literal);
      // The agent of another version of undici than the one in Node works with the fetch of its own version only.
      const undici = await import('undici');
      agent ??= new undici.Agent({ connect: { lookup: lookupPublicAddress } });
      const response = await undici.fetch(target, {
        ...(init as object),
        dispatcher: agent,
        redirect: 'error',
      });
      return response as unknown as Response;
    },
    fetchResponseBodyLimits: { jwks_uri: 64 * 1024, sector_identifier_uri: 64 * 1024 },
  };
}

/** Resolves a host name to addresses that are all public. The connection uses them, so they cannot change after the check. */
const lookupPublicAddress: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    try {
      for (const { address } of addresses) assertPublicAddress(address);
    } catch (rejection) {
      return callback(rejection as Error, '', 0);
    }
    const [first] = addresses;
    if (options.all) callback(null, addresses);
    else callback(null, first!.address, first!.family);
  });
};

/** Ranges that the library counts as unicast: site-local (RFC 3879), and IPv4-compatible (RFC 4291 section 2.5.5.1). */
const OBSOLETE_RANGES = ['fec0::/10', '::/96'].map((range) => ipaddr.IPv6.parseCIDR(range));

/** @throws Error for an address that is not public: loopback, private, link-local, multicast, reserved, a transition mechanism */
export function assertPublicAddress(text: string): void {
  const address = ipaddr.process(text);
  const isObsolete = address instanceof ipaddr.IPv6 && OBSOLETE_RANGES.some((range) => address.match(range));
  if (address.range() !== 'unicast' || isObsolete) throw new Error(`${text} is not a public address`);
}
