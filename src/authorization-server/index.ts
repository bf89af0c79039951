import type { Schema } from '../database/data-source.js';
import { demoSecret } from './clients.demo.js';
import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';
import { OauthServer1700000407000 } from './server.migration.js';

export { AuthorizationServerModule } from './server.module.js';
export const authorizationServerSchema: Schema = {
  entities: [OauthClient, OauthRecord],
  migrations: [OauthServer1700000407000],
};
/** By method, the arguments that make curl sign in with the demo data: a token by client credentials. */
export const demoCurl: Readonly<Record<string, string>> = {
  oauth: `-H "Authorization: Bearer $(curl -s -u machine:${demoSecret('machine')} -d 'grant_type=client_credentials&scope=documents:read documents:write' ORIGIN/oidc/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"`,
};
