import type { AuthMethod } from '../../authentication/method.js';
import { REGION, SERVICE } from './sigv4.config.js';
import { DEMO_KEY } from './sigv4.demo.js';
import { AccessKey } from './sigv4.entity.js';
import { AccessKeys1700000402000 } from './sigv4.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    sigv4: true;
  }
}

export const name = 'sigv4';
export { SigV4Module as module } from './sigv4.module.js';
export { SigV4Strategy as strategy } from './sigv4.strategy.js';
export const entities = [AccessKey];
export const migrations = [AccessKeys1700000402000];
export const openapi: AuthMethod['openapi'] = {
  type: 'http',
  scheme: 'AWS4-HMAC-SHA256',
  description: `AWS Signature Version 4, for the region \`${REGION}\` and the service \`${SERVICE}\``,
};
export const errors: AuthMethod['errors'] = ['400 duplicate_parameter', '401 invalid_sigv4'];
export const curl = `--aws-sigv4 aws:amz:${REGION}:${SERVICE} --user ${DEMO_KEY.id}:${DEMO_KEY.secret}`;
