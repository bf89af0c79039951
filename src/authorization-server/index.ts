import type { Schema } from '../database/columns.js';
import { demoSecret } from './authorization-server.demo.js';
import {
  OauthClientExpiry1700000502000,
  OauthClientOrigins1700000607000,
  OauthServer1700000407000,
} from './authorization-server.migration.js';
import { OauthClient, OauthClientOrigin } from './clients/oauth-client.entity.js';
import { OauthRecord } from './storage/oauth-record.entity.js';

export { AuthorizationServerModule } from './authorization-server.module.js';
export const authorizationServerSchema: Schema = {
  entities: [OauthClient, OauthClientOrigin, OauthRecord],
  migrations: [OauthServer1700000407000, OauthClientExpiry1700000502000, OauthClientOrigins1700000607000],
};
/** By method, curl arguments that authenticate with the demo data: here a token by client credentials. */
export const demoCurl: Readonly<Record<string, string>> = {
  oauth: `-H "Authorization: Bearer $(curl -s -u machine:${demoSecret('machine')} -d 'grant_type=client_credentials&scope=documents:read documents:write' ORIGIN/oidc/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"`,
};
