import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { posix } from 'node:path';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { CAN, Can } from '../../src/authorization/can.guard.js';
import { AUTHENTICATE, PUBLIC, Public, SELF_SERVICE, SelfService } from '../../src/authentication/plan.js';
import { Document } from '../../src/documents/document.entity.js';
import { as, boot, client, type Booted } from '../support/app.js';

@Controller()
class Routes {
  @Get('open')
  @Public()
  open() {
    return { reached: true };
  }

  @Get('mine')
  @SelfService()
  mine() {
    return { reached: true };
  }

  @Get('forgotten')
  forgotten() {
    return { reached: true };
  }
}

@Controller('ruled')
@SelfService()
@Can('read', Document)
class Ruled {
  @Get()
  @Can('delete', Document)
  ruled() {
    return { reached: true };
  }
}

/** The open routes without any method. */
const OPEN = [
  'GET /',
  'GET /dev/mail/',
  'GET /dev/mail/:id',
  'GET /health/live',
  'GET /health/ready',
  'GET /methods',
  'GET /openapi',
  'GET /openapi.json',
  'GET /openapi/:file',
  'GET /openapi/page.css',
  'GET /openapi/page.js',
  'GET /account/cancel-deletion',
  'GET /account/cancel-deletion/done',
  'GET /account/cancel-recovery',
  'GET /account/cancel-recovery/done',
  'GET /account/confirm-email/',
  'GET /account/confirm-email/:result',
  'GET /account/delete-account/done/',
  'GET /account/register/',
  'GET /account/register/done',
  'GET /account/register/sent',
  'GET /account/reset-password/',
  'GET /account/reset-password/done',
  'GET /account/reset-password/sent',
  'GET /account/second-step',
  'GET /account/sign-in',
  'GET /pages/style.css',
  'POST /account/cancel-deletion',
  'POST /account/cancel-recovery',
  'POST /account/confirm-email/',
  'POST /account/register/',
  'POST /account/register/complete',
  'POST /account/reset-password/',
  'POST /account/reset-password/complete',
  'POST /account/second-step',
  'POST /auth/account-deletion/cancel',
  'POST /auth/account-recovery/cancel',
  'POST /auth/email/confirm',
  'POST /auth/mfa/',
  'POST /auth/mfa/options',
  'POST /auth/password-reset/',
  'POST /auth/password-reset/complete',
  'POST /auth/register/',
  'POST /auth/register/complete',
];
/** The open routes of each method: those that a caller needs before it has a credential. */
const OPEN_BY_METHOD: Readonly<Record<string, readonly string[]>> = {
  dpop: ['GET /.well-known/oauth-protected-resource'],
  'http-signature': ['GET /.well-known/http-message-signatures-directory'],
  jwt: ['GET /.well-known/jwks.json', 'POST /auth/refresh'],
  'magic-link': [
    'GET /auth/magic-link/',
    'POST /account/sign-in/magic-link/',
    'POST /account/sign-in/magic-link/code',
    'POST /auth/magic-link/',
    'POST /auth/magic-link/code',
    'POST /auth/magic-link/redeem',
  ],
  mtls: ['GET /mtls', 'GET /mtls/ca.pem', 'GET /mtls/crl.pem'],
  oauth: [
    'ALL /oidc/:a,oidc/:a/:b,oidc/:a/:b/:c',
    'ALL /.well-known/oauth-authorization-server/oidc',
    'GET /.well-known/oauth-protected-resource',
    'GET /interaction/:uid',
    'POST /interaction/:uid',
  ],
  'oidc-login': [
    'GET /auth/oidc',
    'GET /auth/oidc/:provider',
    'GET /auth/oidc/:provider/callback',
    'POST /auth/oidc/:provider/backchannel-logout',
  ],
  passkey: [
    'GET /.well-known/webauthn',
    'GET /pages/passkey.js',
    'POST /auth/passkey',
    'POST /auth/passkey/options',
  ],
  password: ['POST /account/sign-in/password/', 'POST /auth/login'],
};

const verb = (handler: object) => RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as number];
const path = (target: object) => String(Reflect.getMetadata(PATH_METADATA, target));

describe('closed by default', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ controllers: [Routes, Ruled] })));
  afterAll(() => booted.close());

  it('opens only routes with @Public()', async () => {
    const anonymous = client(booted.origin);
    expect((await anonymous.get('/open')).status).toBe(200);
    for (const path of ['/mine', '/forgotten', '/documents', '/me'])
      expect((await anonymous.get(path)).status).toBe(401);
  });

  it('rejects every caller on a route without a rule, admins included', async () => {
    const admin = client(booted.origin, as({ id: 'alice', roles: ['admin'] }));
    expect((await admin.get('/mine')).status).toBe(200);
    const { status, body } = await admin.get('/forgotten');
    expect([status, body.code]).toEqual([403, 'forbidden']);
  });

  it("a route's own rule holds, whatever its controller says", async () => {
    const status = async (id: string, role: 'admin' | 'viewer') =>
      (await client(booted.origin, as({ id, roles: [role] })).get('/ruled')).status;
    expect(await status('carol', 'viewer')).toBe(403);
    expect(await status('alice', 'admin')).toBe(200);
  });

  it('every route has a rule or is in the list of open routes', () => {
    const [discovery, scanner, reflector] = [
      booted.app.get(DiscoveryService),
      booted.app.get(MetadataScanner),
      booted.app.get(Reflector),
    ];
    const routes = discovery.getControllers().flatMap(({ metatype }) => {
      if (!metatype || metatype === Routes) return [];
      const prototype = metatype.prototype as Record<string, () => unknown>;
      return scanner
        .getAllMethodNames(prototype)
        .filter((name) => Reflect.hasMetadata('path', prototype[name]!))
        .map((name) => {
          const find = (key: string): unknown =>
            reflector.getAllAndOverride(key, [prototype[name]!, metatype]);
          return {
            name: `${verb(prototype[name]!)} ${posix.join('/', path(metatype), path(prototype[name]!))}`,
            open: find(AUTHENTICATE) === PUBLIC,
            ruled: Boolean(find(CAN) ?? find(SELF_SERVICE)),
          };
        });
    });
    expect(routes.length).toBeGreaterThan(15);
    expect(routes.filter(({ open, ruled }) => !open && !ruled)).toEqual([]);
    // A rule on a route of a @Public() controller would have no effect.
    expect(routes.filter(({ open, ruled }) => open && ruled)).toEqual([]);
    const open = routes.filter((route) => route.open).map(({ name }) => name);
    const expected = [...OPEN, ...INSTALLED_METHODS.flatMap(({ name }) => OPEN_BY_METHOD[name] ?? [])];
    // Two methods may open the same route.
    expect(open.sort()).toEqual([...new Set(expected)].sort());
  });
});
