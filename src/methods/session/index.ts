import type { AuthMethod } from '../../authentication/method.js';
import { z } from 'zod';
import { DEMO_PASSWORD } from '../../users/users.demo.js';
import { Session } from './session.entity.js';
import { Sessions1700000305000 } from './session.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    session: true;
  }
}

export const name = 'session';
export { SessionModule as module } from './session.module.js';
export { SessionStrategy as strategy } from './session.strategy.js';
export { SessionService as issuer } from './session.service.js';
export const entities = [Session];
export const migrations = [Sessions1700000305000];
export const openapi: AuthMethod['openapi'] = {
  type: 'apiKey',
  in: 'cookie',
  name: '__Host-session',
  description:
    'The cookie of a sign-in at `POST /auth/login`; over plain HTTP its name is `session-dev`. Writes also need the ' +
    '`csrf_token` of the sign-in in `X-CSRF-Token`, and the `Origin` of this server.',
};
export const errors: AuthMethod['errors'] = [
  '400 duplicate_cookie',
  '401 invalid_session',
  '403 invalid_csrf_token',
];
export const requestHeaders = {
  'X-CSRF-Token': 'The `csrf_token` of the sign-in, if the session authenticates the request.',
};
export const responseHeaders = ['Set-Cookie', 'Clear-Site-Data'];
export const issued = z
  .object({ csrf_token: z.string(), expires_in: z.int() })
  .meta({ id: 'SessionResponse' });
/** Signs in by the method `password` and takes the cookie from curl's cookie jar. */
export const curl =
  `-b "$(curl -s -o /dev/null -c - -H 'Content-Type: application/json' ` +
  `-d '{"username":"bob","password":"${DEMO_PASSWORD}","as":"session"}' ORIGIN/auth/login | ` +
  `awk '/session/ { print $6 "=" $7 }')"`;
