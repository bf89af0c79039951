/** Adds an access token to a request (RFC 6750 section 2.1): `fetch(withAccessToken(token)(new Request(url)))`. */
export const withAccessToken =
  (accessToken: string) =>
  (request: Request): Request => {
    request.headers.set('Authorization', `Bearer ${accessToken}`);
    return request;
  };
