import { TotpSecret } from './totp.entity.js';
import { TotpSecrets1700000820000 } from './totp.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    totp: true;
  }
}

export const name = 'totp';
export { TotpModule as module } from './totp.module.js';
export { TotpService as factor } from './totp.service.js';
export const entities = [TotpSecret];
export const migrations = [TotpSecrets1700000820000];
