export interface SignInOptions {
  /** The provider's id in the configuration. */
  readonly provider: string;
  /** The method that issues the credential: `session`, `jwt`. */
  readonly as: string;
  /** A path to redirect to afterwards. Only for methods whose credential is a cookie, such as `session`. */
  readonly returnTo?: string;
}

/** The URL that starts a sign-in: `location.assign(signInUrl('https://api.example', { provider: 'google', as: 'session' }))`. */
export function signInUrl(origin: string, { provider, as, returnTo }: SignInOptions): URL {
  const url = new URL(`/auth/oidc/${encodeURIComponent(provider)}`, origin);
  url.searchParams.set('as', as);
  if (returnTo !== undefined) url.searchParams.set('returnTo', returnTo);
  return url;
}
