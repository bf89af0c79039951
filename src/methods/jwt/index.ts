import type { AuthMethod } from '../../authentication/method.js';
import { DEMO_PASSWORD } from '../../users/users.demo.js';
import { TokenResponse } from './jwt.js';
import { RefreshToken, TokenFamily } from './jwt.entity.js';
import { Jwt1700000304000, JwtSuccessors1700000715000 } from './jwt.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    jwt: true;
  }
}

export const name = 'jwt';
export { JwtModule as module } from './jwt.module.js';
export { JwtStrategy as strategy } from './jwt.strategy.js';
export { JwtService as issuer } from './jwt.service.js';
/** A step-up keeps the refresh token of the sign-in. */
export const issued = TokenResponse.extend({ refresh_token: TokenResponse.shape.refresh_token.optional() });
export const entities = [TokenFamily, RefreshToken];
export const migrations = [Jwt1700000304000, JwtSuccessors1700000715000];
export const openapi: AuthMethod['openapi'] = { type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' };
export const curl = `-H "Authorization: Bearer $(curl -s ORIGIN/auth/login -H 'Content-Type: application/json' -d '{"username":"bob","password":"${DEMO_PASSWORD}","as":"jwt"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"`;
