import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';
import { OauthServer1700000407000 } from './server.migration.js';

export { ServerModule } from './server.module.js';
export const serverEntities = [OauthClient, OauthRecord];
export const serverMigrations = [OauthServer1700000407000];
