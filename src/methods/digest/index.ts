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
export const errors: AuthMethod['errors'] = [
  '400 digest_uri_mismatch',
  '401 invalid_digest',
  '403 cross_site_request',
  '429 too_many_attempts',
];
export const responseHeaders = ['Authentication-Info'];
export const curl = `--digest -u bob:${DEMO_PASSWORD}`;
