import type { AuthMethod } from '../../authentication/method.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    oauth: true;
  }
}

export const name = 'oauth';
export { OauthModule as module } from './oauth.module.js';
export { OauthStrategy as strategy } from './oauth.strategy.js';
/** The authorization server, if it is installed, replaces this with its endpoints. */
export const openapi: AuthMethod['openapi'] = {
  type: 'http',
  scheme: 'bearer',
  description: 'An access token of OAuth 2.0 (RFC 6750)',
};
