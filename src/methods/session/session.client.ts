/** What a client has of its session. */
export interface Signed {
  /** The pair to send: `__Host-session=…`. */
  readonly cookie: string;
  /** For what changes something, with the origin that a browser would name by itself. */
  readonly csrf?: { readonly token: string; readonly origin: string };
}

/** Signs a request with a session: `fetch(withSession({ cookie, csrf })(new Request(url)))`. A browser sends the cookie itself. */
export const withSession =
  ({ cookie, csrf }: Signed) =>
  (request: Request): Request => {
    request.headers.set('Cookie', cookie);
    if (csrf) {
      request.headers.set('Origin', csrf.origin);
      request.headers.set('X-CSRF-Token', csrf.token);
    }
    return request;
  };
