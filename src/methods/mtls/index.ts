import type { AuthMethod } from '../../authentication/method.js';
import { CertificateAuthority, ClientCertificate } from './mtls.entity.js';
import { Mtls1700000405000 } from './mtls.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    mtls: true;
  }
}

export const name = 'mtls';
export { MtlsModule as module } from './mtls.module.js';
export { MtlsStrategy as strategy } from './mtls.strategy.js';
export const entities = [ClientCertificate, CertificateAuthority];
export const migrations = [Mtls1700000405000];
/** OpenAPI 3.1 has a type for it; Nest's own type for the document has not. */
export const openapi = { type: 'mutualTLS' } as unknown as AuthMethod['openapi'];
export const errors: AuthMethod['errors'] = ['401 invalid_certificate', '421 misdirected_request'];
