import { Passkey, PasskeyUserHandle } from './passkey.entity.js';
import { Passkeys1700000430000 } from './passkey.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    passkey: true;
  }
}

export const name = 'passkey';
export { PasskeyFactor as factor } from './passkey.factor.js';
export { PasskeyModule as module } from './passkey.module.js';
export const entities = [Passkey, PasskeyUserHandle];
export const migrations = [Passkeys1700000430000];
