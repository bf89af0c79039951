import type { TestResponse, Booted } from '../support/app.js';
import { basicOf, oauthAt } from './flows.js';

export { claimsOf } from './flows.js';
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
export const CIBA = 'urn:openid:params:grant-type:ciba';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** Posts a form to a path below the issuer, authenticated as a confidential demo client if one is given. */
export const poster =
  ({ origin }: Pick<Booted, 'origin'>) =>
  (path: string, form: Readonly<Record<string, string>>, as?: string): Promise<TestResponse> =>
    oauthAt(origin).post(path, form, as === undefined ? {} : basicOf(as));
