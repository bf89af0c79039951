/** What a sign-in is to end in. */
export interface Wanted {
  /** The provider's id in the configuration. */
  readonly provider: string;
  /** The name of an installed method that issues. */
  readonly as: string;
  /** The path of a page to go on to; only for what a browser keeps by itself, such as a session. */
  readonly returnTo?: string;
}

/** Where to send the browser to sign in: `location.assign(signInUrl('https://api.example', { provider: 'google', as: 'session' }))`. */
export function signInUrl(origin: string, { provider, as, returnTo }: Wanted): URL {
  const url = new URL(`/auth/oidc/${encodeURIComponent(provider)}`, origin);
  url.searchParams.set('as', as);
  if (returnTo !== undefined) url.searchParams.set('returnTo', returnTo);
  return url;
}
