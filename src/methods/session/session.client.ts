export interface SessionCredentials {
  /** Name and value: `__Host-session=…`. */
  readonly cookie: string;
  /** For writes. A browser sends the origin itself. */
  readonly csrf?: { readonly token: string; readonly origin: string };
}

/** Adds a session to a request: `fetch(withSession({ cookie, csrf })(new Request(url)))`. A browser sends the cookie itself. */
export const withSession =
  ({ cookie, csrf }: SessionCredentials) =>
  (request: Request): Request => {
    request.headers.set('Cookie', cookie);
    if (csrf) {
      request.headers.set('Origin', csrf.origin);
      request.headers.set('X-CSRF-Token', csrf.token);
    }
    return request;
  };
