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
export const errors: AuthMethod['errors'] = ['401 invalid_http_signature'];
export const requestHeaders = {
  Signature: 'The signature (RFC 9421 section 4.2).',
  'Content-Digest': 'The digest of the body (RFC 9530).',
  'Accept-Signature': 'Requests a signed response (RFC 9421 section 5.1).',
};
export const responseHeaders = ['Accept-Signature', 'Signature-Input', 'Signature', 'Content-Digest'];
