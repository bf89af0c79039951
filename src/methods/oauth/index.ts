import type { AuthMethod } from '../../authentication/method.js';
import { SCOPES } from '../../permissions.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    oauth: true;
  }
}

export const name = 'oauth';
export { OauthModule as module } from './oauth.module.js';
export { OauthStrategy as strategy } from './oauth.strategy.js';
/** OpenAPI requires a description of each scope. */
const scopes = Object.fromEntries(
  SCOPES.map((scope) => [scope, `Limits the account's permissions to ${scope}.`]),
);
export const openapi: AuthMethod['openapi'] = {
  type: 'oauth2',
  flows: {
    authorizationCode: {
      authorizationUrl: '/oidc/auth',
      tokenUrl: '/oidc/token',
      scopes,
    },
    clientCredentials: { tokenUrl: '/oidc/token', scopes },
  },
};
