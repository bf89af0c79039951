import { MagicLink } from './magic-link.entity.js';
import { MagicLinks1700000850000 } from './magic-link.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    'magic-link': true;
  }
}

export const name = 'magic-link';
export { MagicLinkModule as module } from './magic-link.module.js';
export { MagicLinkFactor as factor } from './magic-link.factor.js';
export const entities = [MagicLink];
export const migrations = [MagicLinks1700000850000];
