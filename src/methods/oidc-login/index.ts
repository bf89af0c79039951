import { OidcIdentity } from './oidc-login.entity.js';
import { OidcIdentities1700000411000 } from './oidc-login.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    'oidc-login': true;
  }
}

export const name = 'oidc-login';
export { LinkedIdentities as factor } from './oidc-login.linked-identities.service.js';
export { OidcLoginModule as module } from './oidc-login.module.js';
export const entities = [OidcIdentity];
export const migrations = [OidcIdentities1700000411000];
