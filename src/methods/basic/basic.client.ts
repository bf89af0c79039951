import { formatBasic } from './basic.js';

/** Adds a username and a password to a request: `fetch(withBasic('bob', password)(new Request(url)))`. */
export const withBasic =
  (username: string, password: string) =>
  (request: Request): Request => {
    request.headers.set('Authorization', formatBasic({ username, password }));
    return request;
  };
