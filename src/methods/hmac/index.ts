import type { AuthMethod } from '../../authentication/method.js';
import { HmacKey } from './hmac.entity.js';
import { HmacKeys1700000400000 } from './hmac.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    hmac: true;
  }
}

export const name = 'hmac';
export { HmacModule as module } from './hmac.module.js';
export { HmacStrategy as strategy } from './hmac.strategy.js';
export const entities = [HmacKey];
export const migrations = [HmacKeys1700000400000];
export const openapi: AuthMethod['openapi'] = {
  type: 'http',
  scheme: 'HMAC-SHA256',
  description: 'A signature of the request with a shared key, accepted once: see docs/methods/hmac.md',
};
export const errors: AuthMethod['errors'] = ['401 invalid_hmac'];
