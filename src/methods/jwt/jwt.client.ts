/** Adds an access token to a request (RFC 6750 section 2.1): `fetch(withJwt(token)(new Request(url)))`. */
export const withJwt =
  (accessToken: string) =>
  (request: Request): Request => {
    request.headers.set('Authorization', `Bearer ${accessToken}`);
    return request;
  };
