import { demoSecret } from './clients.demo.js';
import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';
import { OauthServer1700000407000 } from './server.migration.js';

export { ServerModule } from './server.module.js';
export const serverEntities = [OauthClient, OauthRecord];
export const serverMigrations = [OauthServer1700000407000];
/** A token for the demo's machine, by client credentials. */
export const serverCurl = `-H "Authorization: Bearer $(curl -s -u machine:${demoSecret('machine')} -d 'grant_type=client_credentials&scope=documents:read documents:write' ORIGIN/oidc/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"`;
