import { formatBasic } from './basic.js';

/** Signs a request with a password: `fetch(withBasic('bob', password)(new Request(url)))`. */
export const withBasic =
  (username: string, password: string) =>
  (request: Request): Request => {
    request.headers.set('Authorization', formatBasic({ username, password }));
    return request;
  };
