import type { AuthMethod } from '../../authentication/method.js';
import { DEMO_PASSWORD } from '../../users/users.demo.js';
import { DigestCredential, DigestNonce } from './digest.entity.js';
import { Digest1700000403000 } from './digest.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    digest: true;
  }
}

export const name = 'digest';
export { DigestModule as module } from './digest.module.js';
export { DigestStrategy as strategy } from './digest.strategy.js';
export const entities = [DigestCredential, DigestNonce];
export const migrations = [Digest1700000403000];
export const openapi: AuthMethod['openapi'] = { type: 'http', scheme: 'digest' };
export const curl = `--digest -u bob:${DEMO_PASSWORD}`;
