/**
 * Sign-in at an OpenID provider by the authorization code flow (OpenID Connect Core 1.0 section 3.1). The
 * authorization request sends the browser to the provider:
 *
 *     GET /auth/oidc/google?as=session HTTP/1.1
 *
 *     HTTP/1.1 303 See Other
 *     Location: https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=…&scope=openid&state=…&nonce=…
 *       &code_challenge=…&code_challenge_method=S256&redirect_uri=https://api.example.com/auth/oidc/google/callback
 *     Set-Cookie: __Host-oidc-google=…; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600
 *
 * The user signs in there, and the provider sends the browser back to the callback with a single-use code:
 *
 *     GET /auth/oidc/google/callback?code=…&state=…&iss=https://accounts.google.com HTTP/1.1
 *     Cookie: __Host-oidc-google=…
 *
 * This server redeems the code at the provider's token endpoint for an ID token. That is a signed JWT that names the
 * user (`iss` and `sub`), the client (`aud`) and the authorization request (`nonce`).
 *
 * Each authorization request has three random values. `state` binds the callback to the browser, `nonce` the ID token
 * to the request, and the PKCE verifier the code to this server. They are stored only in the cookie, encrypted.
 */
import { randomBytes } from 'node:crypto';

/** From the authorization request to the callback, including the time that the user needs. */
export const PENDING_AUTHORIZATION_LIFETIME_MS = 10 * 60_000;

const MAX_AMR_VALUES = 10;

/** The effect of the callback: sign the user in, or link the identity to an account that is signed in. */
export type AuthorizationPurpose =
  { readonly kind: 'sign-in' } | { readonly kind: 'link'; readonly userId: string; readonly epoch: number };

/** An authorization request that awaits its callback. */
export interface PendingAuthorization {
  readonly state: string;
  readonly nonce: string;
  /** The PKCE code verifier (RFC 7636). */
  readonly verifier: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** The method that issues the credential; for a link, the method that the caller is signed in with. */
  readonly as: string;
  readonly purpose: AuthorizationPurpose;
  /** A path to redirect to after the callback. */
  readonly returnTo?: string | undefined;
}

const randomValue = () => randomBytes(32).toString('base64url');

export const newAuthorization = (
  options: Pick<PendingAuthorization, 'as' | 'purpose' | 'returnTo'>,
): PendingAuthorization => ({
  state: randomValue(),
  nonce: randomValue(),
  verifier: randomValue(),
  expires: Date.now() + PENDING_AUTHORIZATION_LIFETIME_MS,
  ...options,
});

/** The provider's clock may be ahead of ours by this many seconds. */
const CLOCK_TOLERANCE_SECONDS = 5;

/**
 * The time of the sign-in at the provider, never later than now.
 * @param authTime the `auth_time` claim, in seconds. Without it, the person may have signed in at the provider long ago, so
 *   the result is a time that is never recent.
 * @returns undefined for an invalid time or one in the future, which would stay recent
 */
export function dateOfAuthTime(authTime = 0, now = Date.now()): Date | undefined {
  if (!(authTime >= 0 && authTime <= now / 1000 + CLOCK_TOLERANCE_SECONDS)) return undefined;
  return new Date(Math.min(authTime * 1000, now));
}

/** The well-formed values of an `amr` claim (RFC 8176). */
export const parseAmr = (amr: unknown): string[] =>
  Array.isArray(amr) && amr.length <= MAX_AMR_VALUES
    ? amr.filter((value): value is string => typeof value === 'string' && /^[\w-]{1,40}$/.test(value))
    : [];
