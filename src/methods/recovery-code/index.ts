import { RecoveryCode } from './recovery-code.entity.js';
import { RecoveryCodes1700000830000 } from './recovery-code.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    'recovery-code': true;
  }
}

export const name = 'recovery-code';
export { RecoveryCodeModule as module } from './recovery-code.module.js';
export { RecoveryCodeService as factor } from './recovery-code.service.js';
export const entities = [RecoveryCode];
export const migrations = [RecoveryCodes1700000830000];
