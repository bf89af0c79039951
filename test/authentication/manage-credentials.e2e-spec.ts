import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { SELF_SERVICE } from '../../src/authentication/plan.js';
import type { Principal, Proof } from '../../src/authentication/principal.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { as, boot, client, type Booted } from '../support/app.js';
import { allContracts, send as sendBy } from '../support/contracts.js';

const contracts = await allContracts();

const proof: Proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false, signIn: true };
const alice = (limits: Partial<Principal> = {}) => as({ id: 'alice', roles: ['admin'], ...limits });

/** Every kind of limit that a caller can have. */
const LIMITS: Record<string, Partial<Principal>> = {
  scopes: { scopes: ['documents:read'] },
  'no scopes': { scopes: [] },
  'authorization details': {
    authorizationDetails: [{ type: 'document', identifier: 'x', actions: ['read'] }],
  },
  'a replaced secret or a presigned URL': { proofs: [{ ...proof, restricted: true }] },
  'a credential for requests': { proofs: [{ method: 'test', at: new Date(), amr: ['pop'], bound: true }] },
  'an OAuth client': { proofs: [{ ...proof, client: 'client' }] },
};

const SCOPES = ['documents:read', 'documents:write'];
const newKey = { name: 'test', scopes: SCOPES };
const newJwk = () => generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
/** OpenSSL writes the private key to stderr, which is dropped. */
const newCsr = () =>
  execFileSync(
    'openssl',
    [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=x',
    ].concat('-keyout', '/dev/null'),
    { stdio: 'pipe' },
  ).toString();

interface Route {
  /** Absent: the request has no body. */
  readonly body?: () => object;
  /** The status for an unlimited caller. */
  readonly status: number;
  /** The method whose credentials may create others within their own limits. */
  readonly childrenOf?: string;
}

/** A registration without a challenge. */
const NO_PASSKEY = {
  credential: {
    id: 'AAAA',
    rawId: 'AAAA',
    type: 'public-key',
    clientExtensionResults: {},
    response: { clientDataJSON: 'AAAA', attestationObject: 'AAAA' },
  },
};

/** `:id` is the id of a credential of alice's; where there is none, 404 shows that the check was passed. */
const ROUTES: Record<string, Route> = {
  'GET /account': { status: 200 },
  // The tenant's only administrator.
  'DELETE /account': { status: 409 },
  'PATCH /account': { body: () => ({ name: 'Alice Example' }), status: 200 },
  'POST /account/email': { body: () => ({ email: `${randomUUID()}@new.example` }), status: 202 },
  'POST /account/email/verification': { status: 409 },
  'GET /api-keys': { status: 200 },
  'POST /api-keys': { body: () => newKey, status: 201, childrenOf: 'api-key' },
  'POST /api-keys/:id/rotate': { status: 201 },
  'DELETE /api-keys/:id': { status: 204 },
  'GET /hmac-keys': { status: 200 },
  'POST /hmac-keys': { body: () => newKey, status: 201 },
  'POST /hmac-keys/:id/rotate': { status: 201 },
  'DELETE /hmac-keys/:id': { status: 204 },
  'GET /access-keys': { status: 200 },
  'POST /access-keys': { body: () => newKey, status: 201 },
  'POST /access-keys/:id/rotate': { status: 201 },
  'DELETE /access-keys/:id': { status: 204 },
  'GET /webhook-sources': { status: 200 },
  'POST /webhook-sources': { body: () => newKey, status: 201 },
  'POST /webhook-sources/:id/rotate': { status: 201 },
  'DELETE /webhook-sources/:id': { status: 204 },
  'GET /signature-keys': { status: 200 },
  'POST /signature-keys': { body: () => ({ ...newKey, jwk: newJwk() }), status: 201 },
  'POST /signature-keys/:id/proof': { body: () => ({ signature: 'AAAA' }), status: 403 },
  'DELETE /signature-keys/:id': { status: 204 },
  'GET /certificates': { status: 200 },
  'POST /certificates': { body: () => ({ ...newKey, csr: newCsr() }), status: 201 },
  'DELETE /certificates/:id': { status: 204 },
  'GET /digest': { status: 200 },
  'PUT /digest': { body: () => ({ password: DEMO_PASSWORD }), status: 200 },
  'DELETE /digest': { status: 204 },
  'GET /passkeys': { status: 200 },
  'POST /passkeys/options': { status: 200 },
  'POST /passkeys': { body: () => NO_PASSKEY, status: 400 },
  'PATCH /passkeys/:id': { body: () => ({ name: 'phone' }), status: 404 },
  'DELETE /passkeys/:id': { status: 404 },
  'GET /totp': { status: 200 },
  'POST /totp': { status: 201 },
  'POST /totp/confirm': { body: () => ({ code: '000000' }), status: 422 },
  'DELETE /totp': { status: 404 },
  'GET /recovery-codes': { status: 200 },
  'POST /recovery-codes': { status: 409 },
  'GET /oidc-identities': { status: 200 },
  'POST /auth/oidc/:provider/link': { status: 403 },
  'DELETE /oidc-identities/:id': { status: 403 },
  'GET /consents': { status: 200 },
  'DELETE /consents/:id': { status: 404 },
  'GET /backchannel-requests': { status: 200 },
  'POST /backchannel-requests/:id/approve': { status: 404 },
  'POST /backchannel-requests/:id/deny': { status: 404 },
  'GET /oauth/clients': { status: 200 },
  'POST /oauth/clients': {
    body: () => ({ client_name: 'test', redirect_uris: ['https://client.example/callback'] }),
    status: 201,
  },
  'DELETE /oauth/clients/:id': { status: 204 },
  'POST /oauth/initial-access-tokens': { status: 201 },
  'GET /token-families': { status: 200 },
  'DELETE /token-families/:id': { status: 204 },
  'GET /sessions': { status: 200 },
  'DELETE /sessions/:id': { status: 204 },
  'DELETE /sessions': { status: 204 },
  // The test's own credential is not a sign-in, which is rejected after the check.
  'POST /auth/logout': { body: () => ({ everywhere: true }), status: 400 },
  'POST /auth/password': {
    body: () => ({ current_password: 'incorrect', new_password: 'seventeen purple kettles' }),
    status: 403,
  },
};

/** Routes that manage nothing, and pages: their services are those of the routes in the table. */
const OTHERS =
  /^GET \/(me|demo\/.*|sessions\/csrf|openapi.*|auth\/factors)$|^(GET|POST) \/account\/(security|step-up|sign-out|delete-account|change-(name|email)|verify-email|totp|recovery-codes|passkeys)|^POST \/(webhooks\/:source|auth\/step-up(\/options)?)$/;

/** Every route that concerns the caller's own account. */
function selfServiceRoutes({ app }: Booted): string[] {
  const [reflector, scanner] = [app.get(Reflector), new MetadataScanner()];
  return app
    .get(DiscoveryService, { strict: false })
    .getControllers()
    .flatMap(({ metatype }) => {
      if (!metatype) return [];
      const prototype = metatype.prototype as Record<string, () => unknown>;
      return scanner.getAllMethodNames(prototype).flatMap((name) => {
        const handler = prototype[name]!;
        const path: unknown = reflector.get(PATH_METADATA, handler);
        if (path === undefined || !reflector.getAllAndOverride(SELF_SERVICE, [handler, metatype])) return [];
        const parts = [reflector.get<string>(PATH_METADATA, metatype), path as string];
        const trimmed = parts.map((part) => part.replace(/^\/|\/$/g, '')).filter(Boolean);
        return [`${RequestMethod[reflector.get<number>(METHOD_METADATA, handler)]} /${trimmed.join('/')}`];
      });
    });
}

describe('managing credentials and sign-ins', () => {
  let booted: Booted;
  let managing: [string, Route][];
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    booted = await boot({ env: Object.assign({}, ...contracts.map(({ env }) => env)) });
    const routes = selfServiceRoutes(booted);
    managing = Object.entries(ROUTES).filter(([route]) => routes.includes(route));
  });
  beforeEach(async () => {
    // The limits of mails.
    await booted.db.sql`DELETE FROM login_failures`;
    for (const [route, { body, status }] of managing) {
      if (!route.startsWith('POST ') || route.includes(':') || status !== 201) continue;
      const created = await send(route, alice(), body?.());
      ids[route.slice('POST '.length)] = created.body.id ?? created.body.client_id;
    }
    for (const [as, list] of [
      ['session', '/sessions'],
      ['jwt', '/token-families'],
    ] as const) {
      if (!(`GET ${list}` in Object.fromEntries(managing))) continue;
      const credentials = { username: 'alice', password: DEMO_PASSWORD, as };
      await client(booted.origin).post('/auth/login', credentials);
      ids[list] = (await send(`GET ${list}`, alice())).body.items?.[0]?.id;
    }
  });
  afterAll(() => booted.close());

  const targetOf = (route: string): [method: string, target: string] => {
    const [method, path] = route.split(' ') as [string, string];
    const id = ids[path.split('/:')[0]!] ?? randomUUID();
    return [method, path.replace(':id', id).replace(':provider', 'any')];
  };
  const send = (route: string, headers: Record<string, string>, body?: object) => {
    const [method, target] = targetOf(route);
    return client(booted.origin, headers).send(method, target, body && { body });
  };

  const withoutLastUse = (name: string, value: unknown) =>
    /^last(Used|Seen)At$/.test(name) ? undefined : value;
  /** All rows but those of the audit log. PostgreSQL returns them in any order. */
  const state = async () => {
    const tables = booted.db.entityMetadatas.filter(
      ({ tableName }) => !/audit|demo|rate|used_once|failed|known/.test(tableName),
    );
    const rows = await Promise.all(tables.map(({ target }) => booted.db.manager.find(target)));
    return rows
      .flat()
      .map((row) => JSON.stringify(row, withoutLastUse))
      .sort();
  };

  it('has every self-service route in this table', () => {
    const unlisted = selfServiceRoutes(booted).filter((route) => !(route in ROUTES) && !OTHERS.test(route));
    expect(unlisted).toEqual([]);
  });

  it.each(Object.entries(LIMITS))('rejects a caller limited by %s on every route', async (_, limits) => {
    const before = await state();
    for (const [route, { body }] of managing) {
      const { status, body: problem } = await send(route, alice(limits), body?.());
      expect([route, status, problem.code]).toEqual([route, 403, 'limited_credential']);
    }
    expect(await state()).toEqual(before);
  });

  it.each(contracts.map((contract) => [contract.name, contract] as const))(
    'lets %s manage credentials only if it is a sign-in',
    async (name, contract) => {
      for (const issue of [contract.issue, ...Object.values(contract.also ?? {})]) {
        let credential = await issue(booted, 'alice');
        const before = await state();
        for (const [route, { body, childrenOf }] of managing) {
          if (childrenOf === name) continue;
          // A sign-in may end itself here.
          if (contract.managesCredentials) credential = await issue(booted, 'alice');
          const [method, target] = targetOf(route);
          const json = body && {
            body: JSON.stringify(body()),
            headers: { 'Content-Type': 'application/json' },
          };
          const response = await sendBy(credential, booted.origin + target, { method, ...json });
          const text = await response.text();
          const code = text && (JSON.parse(text) as { code?: string }).code;
          if (contract.managesCredentials) expect([route, code]).not.toEqual([route, 'limited_credential']);
          else expect([route, response.status, code]).toEqual([route, 403, 'limited_credential']);
        }
        if (!contract.managesCredentials) expect(await state()).toEqual(before);
      }
    },
  );

  it('lets a caller without limits pass on every route', async () => {
    for (const [route, { body, status }] of managing) {
      const response = await send(route, alice(), body?.());
      expect([route, response.status]).toEqual([route, status]);
      expect(response.body?.code).not.toBe('limited_credential');
    }
  });
});
