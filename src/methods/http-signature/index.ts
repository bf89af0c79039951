import type { AuthMethod } from '../../authentication/method.js';
import { SignatureKey } from './http-signature.entity.js';
import { SignatureKeys1700000401000 } from './http-signature.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    'http-signature': true;
  }
}

export const name = 'http-signature';
export { HttpSignatureModule as module } from './http-signature.module.js';
export { HttpSignatureStrategy as strategy } from './http-signature.strategy.js';
export const entities = [SignatureKey];
export const migrations = [SignatureKeys1700000401000];
export const openapi: AuthMethod['openapi'] = {
  type: 'apiKey',
  in: 'header',
  name: 'Signature-Input',
  description:
    'HTTP Message Signatures (RFC 9421): `Signature-Input`, `Signature`, and `Content-Digest` for a body',
};
