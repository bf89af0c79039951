import type { AuthMethod } from '../../authentication/method.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    dpop: true;
  }
}

export const name = 'dpop';
export { DpopModule as module } from './dpop.module.js';
export { DpopStrategy as strategy } from './dpop.strategy.js';
export const openapi: AuthMethod['openapi'] = {
  type: 'http',
  scheme: 'dpop',
  description:
    'An access token that is bound to a key (RFC 9449): `Authorization: DPoP <token>`, and a proof in the `DPoP` header',
};
export const errors: AuthMethod['errors'] = ['401 invalid_dpop_proof', '401 use_dpop_nonce'];
export const requestHeaders = {
  DPoP: 'The proof of possession, a JWT for this request (RFC 9449 section 4).',
};
export const responseHeaders = ['DPoP-Nonce'];
