import type { AuthMethod } from '../../authentication/method.js';
import { DEMO_KEY } from './api-key.demo.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeys1700000200000 } from './api-key.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    'api-key': true;
  }
}

export const name = 'api-key';
export { ApiKeyModule as module } from './api-key.module.js';
export { ApiKeyStrategy as strategy } from './api-key.strategy.js';
export const entities = [ApiKey];
export const migrations = [ApiKeys1700000200000];
export const openapi: AuthMethod['openapi'] = {
  type: 'apiKey',
  in: 'header',
  name: 'X-API-Key',
  description: '`X-API-Key: <key>`, or `Authorization: ApiKey <key>`',
};
export const errors: AuthMethod['errors'] = ['401 invalid_api_key'];
export const curl = `-H 'X-API-Key: ${DEMO_KEY}'`;
