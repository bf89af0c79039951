import type { AuthMethod } from '../../authentication/method.js';
import { DEMO_PASSWORD } from '../../users/users.demo.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    basic: true;
  }
}

export const name = 'basic';
export { BasicModule as module } from './basic.module.js';
export { BasicStrategy as strategy } from './basic.strategy.js';
export const openapi: AuthMethod['openapi'] = { type: 'http', scheme: 'basic' };
export const errors: AuthMethod['errors'] = [
  '401 invalid_credentials',
  '403 cross_site_request',
  '429 too_many_attempts',
  '503 temporarily_unavailable',
];
export const curl = `-u bob:${DEMO_PASSWORD}`;
