/** Signs a request with a key: `fetch(withApiKey(key)(new Request(url)))`. */
export const withApiKey =
  (key: string) =>
  (request: Request): Request => {
    request.headers.set('X-API-Key', key);
    return request;
  };
