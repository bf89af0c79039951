/**
 * Signing in at an OpenID provider by the authorization code flow (OpenID Connect Core 1.0, section 3.1), as it travels:
 *
 *     GET /auth/oidc/google?as=session HTTP/1.1
 *
 *     HTTP/1.1 303 See Other
 *     Location: https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=…&scope=openid&state=…&nonce=…
 *       &code_challenge=…&code_challenge_method=S256&redirect_uri=https://api.example.com/auth/oidc/google/callback
 *     Set-Cookie: __Host-oidc-google=…; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600
 *
 * There the person signs in, and the provider sends the browser back with a code, which is good once:
 *
 *     GET /auth/oidc/google/callback?code=…&state=…&iss=https://accounts.google.com HTTP/1.1
 *     Cookie: __Host-oidc-google=…
 *
 * This server, and not the browser, hands the code to the provider, and gets an ID token for it: a signed text that says who
 * it was (`iss` and `sub`), for whom it was made (`aud`), and for which of its requests (`nonce`).
 *
 * Four texts are made at random for each sign-in. `state` ties the answer to the browser, `nonce` the ID token to the
 * request, the verifier (of which only a hash goes out) the code to this server: a code that was caught is of no use. All of
 * them are in the cookie, sealed, and nowhere else.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';

/** From the start of a sign-in to its end, the time to type a password included. */
export const TRANSACTION_MS = 10 * 60_000;

/** What is to come of it: a sign-in, or one more way in for an account that is signed in. */
export type Goal =
  { readonly kind: 'sign-in' } | { readonly kind: 'link'; readonly userId: string; readonly epoch: number };

/** One way to a provider and back. */
export interface Transaction {
  readonly state: string;
  readonly nonce: string;
  /** PKCE's (RFC 7636). */
  readonly verifier: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** The method that issues at the end, or that the caller who links is signed in by. */
  readonly as: string;
  readonly goal: Goal;
  /** The path of a page to go on to. */
  readonly returnTo?: string | undefined;
}

const random = () => randomBytes(32).toString('base64url');

export const newTransaction = (rest: Pick<Transaction, 'as' | 'goal' | 'returnTo'>): Transaction => ({
  state: random(),
  nonce: random(),
  verifier: random(),
  expires: Date.now() + TRANSACTION_MS,
  ...rest,
});

/** Compares in constant time. */
export function sameText(given: string | undefined, wanted: string): boolean {
  const [left, right] = [Buffer.from(given ?? ''), Buffer.from(wanted)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Whether a text is a path of this origin, and can be nothing else: not `//evil.example`, which begins with another host,
 * nor `/\evil.example`, which browsers read as the same, nor anything with blanks or controls, which they drop.
 */
export const isLocalPath = (text: string): boolean =>
  text.length <= 1_000 && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text);

/**
 * The cookie of a way to one provider. `SameSite=Lax`, since it must come along when the provider sends the browser back.
 * Browsers take the prefix `__Host-` only over TLS, with Path=/ and without Domain: no neighbour can put one in its place.
 */
export class TransactionCookie {
  readonly name: string;
  private readonly attributes: string;

  constructor(publicUrl: string, provider: string) {
    const secure = publicUrl.startsWith('https:');
    this.name = `${secure ? '__Host-' : ''}oidc-${provider}`;
    this.attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  set = (value: string) => `${this.name}=${value}; ${this.attributes}; Max-Age=${TRANSACTION_MS / 1000}`;

  clear = () => `${this.name}=; ${this.attributes}; Max-Age=0`;

  /** All its values in a Cookie field. More than one means that somebody put one there. */
  read(field: string | undefined): string[] {
    const start = `${this.name}=`;
    return (field ?? '')
      .split(';')
      .map((pair) => pair.replace(/^[ \t]+/, ''))
      .flatMap((pair) => (pair.startsWith(start) ? [pair.slice(start.length)] : []));
  }
}

/** When the person last signed in there (`auth_time`, in seconds), where the provider says so: never later than now. */
export const authenticatedAt = (authTime: number | undefined, now = Date.now()): Date =>
  new Date(Math.min(authTime === undefined ? now : authTime * 1000, now));

/** How, where that is what `amr` should be: a few short words (RFC 8176). */
export const methodsOf = (amr: unknown): string[] =>
  Array.isArray(amr) && amr.length <= 10
    ? amr.filter((word): word is string => typeof word === 'string' && /^[\w-]{1,40}$/.test(word))
    : [];
