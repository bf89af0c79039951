import { serverEntities, serverMigrations } from './server/index.js';

declare module '../../auth/principal.js' {
  interface AuthMethods {
    oauth: true;
  }
}

export const name = 'oauth';
export { OauthModule as module } from './oauth.module.js';
export const entities = serverEntities;
export const migrations = serverMigrations;
