import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as successor from '@modelcontextprotocol/client';
import * as sdk from '@modelcontextprotocol/sdk/client/auth.js';
import { withOAuth } from '@modelcontextprotocol/sdk/client/middleware.js';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SelfRegistration } from '../../src/authorization-server/clients/self-registration.service.js';
import { OauthClient } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { RANDOM_SECRET, boot, client, type Booted } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { Browser, signIn, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';

const CALLBACK = 'http://localhost:33418/callback';
const ALL_SCOPES = 'documents:read documents:write documents:delete audit:read';

/** The state of an MCP client between its steps. An application writes only this part itself. */
class Store {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadata = { client_name: 'MCP client', redirect_uris: [CALLBACK] };
  authorizationUrl: URL | undefined;
  // oxlint-disable-next-line typescript/no-explicit-any -- both SDKs store values of their own types
  private readonly saved: Record<string, any> = {};

  constructor(readonly clientMetadataUrl?: string) {}

  clientInformation = () => this.saved['client'];
  saveClientInformation = (value: unknown) => void (this.saved['client'] = value);
  tokens = () => this.saved['tokens'];
  saveTokens = (value: unknown) => void (this.saved['tokens'] = value);
  codeVerifier = () => this.saved['verifier'] as string;
  saveCodeVerifier = (value: string) => void (this.saved['verifier'] = value);
  redirectToAuthorization = (url: URL) => void (this.authorizationUrl = url);
}

interface Sdk {
  readonly request: (store: Store, origin: string) => typeof fetch;
  readonly finish: (store: Store, serverUrl: string, callback: URL) => Promise<string>;
}

const codeOf = (callback: URL) => callback.searchParams.get('code')!;
const SDKS: [string, Sdk][] = [
  [
    '@modelcontextprotocol/sdk 1.x',
    {
      request: (store, origin) => withOAuth(store, origin)(fetch) as typeof fetch,
      finish: (store, serverUrl, callback) =>
        sdk.auth(store, { serverUrl, authorizationCode: codeOf(callback) }),
    },
  ],
  [
    '@modelcontextprotocol/client 2.x',
    {
      request: (store, origin) => successor.withOAuth(store, origin)(fetch) as typeof fetch,
      finish: (store, serverUrl, callback) =>
        successor.auth(store, {
          serverUrl,
          authorizationCode: codeOf(callback),
          iss: callback.searchParams.get('iss')!,
        }),
    },
  ],
];

/** From the first 401 to an API call, with the pages in between. */
async function connect({ request, finish }: Sdk, store: Store, origin: string): Promise<Response> {
  const call = () => request(store, origin)(`${origin}/documents`);
  await expect(call()).rejects.toThrow('redirect initiated');
  expect(store.authorizationUrl!.searchParams.get('resource')).toBe(origin);
  const { callback } = await signIn({ origin }, store.authorizationUrl!);
  expect(await finish(store, origin, callback)).toBe('AUTHORIZED');
  return call();
}

describe('an unmodified MCP client', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ publicUrlIsOrigin: true })));
  afterAll(() => booted.close());

  it.each(SDKS)('%s registers itself and calls the API', async (_, library) => {
    const store = new Store();
    const response = await connect(library, store, booted.origin);
    expect(await response.json()).toMatchObject({ items: expect.any(Array) });
    expect(claimsOf(store.tokens().access_token)).toMatchObject({ aud: booted.origin, scope: ALL_SCOPES });
    expect(store.clientInformation()).toMatchObject({ scope: ALL_SCOPES });
  });

  it('finds the metadata of the API in the challenge (RFC 9728)', async () => {
    const response = await fetch(`${booted.origin}/demo/oauth`);
    const { resourceMetadataUrl } = sdk.extractWWWAuthenticateParams(response);
    expect(resourceMetadataUrl?.href).toBe(`${booted.origin}/.well-known/oauth-protected-resource`);
  });
});

describe('open registration', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ publicUrlIsOrigin: true })));
  afterAll(() => booted.close());
  beforeEach(() => booted.db.query('DELETE FROM login_failures'));

  const register = (metadata: object = {}, headers?: Record<string, string>, where = booted) =>
    client(where.origin).post('/oidc/reg', { redirect_uris: [CALLBACK], ...metadata }, headers);
  const pageFor = (client_id: string, redirect_uri = CALLBACK) =>
    consentPage(booted.origin, { client_id, redirect_uri });

  it('returns the scopes of the API in `scope`, on registration, reading and updating', async () => {
    const { status, body } = await register({ scope: 'openid documents:read email' });
    expect({ status, body }).toMatchObject({ status: 201, body: { scope: 'openid documents:read' } });
    const { pathname } = new URL(body.registration_client_uri);
    const own = { Authorization: `Bearer ${body.registration_access_token}` };
    const { client_id, client_secret, redirect_uris, scope, resource_scopes } = (
      await client(booted.origin).get(pathname, own)
    ).body;
    expect({ scope, resource_scopes }).toEqual({
      scope: 'openid documents:read',
      resource_scopes: 'documents:read',
    });
    const record = { client_id, client_secret, redirect_uris, scope, resource_scopes };
    const changed = await client(booted.origin).send('PUT', pathname, { headers: own, body: record });
    expect(changed).toMatchObject({ status: 200, body: { scope: 'openid documents:read' } });
  });

  it.each(['http://localhost:4711/cb', 'http://127.0.0.1:4711/cb', 'http://[::1]:4711/cb'])(
    'accepts %s on any port',
    async (uri) => {
      const { body } = await register({ redirect_uris: [uri], token_endpoint_auth_method: 'none' });
      expect(body.application_type).toBe('native');
      const redirect_uri = uri.replace('4711', '59999');
      const page = await pageFor(body.client_id, redirect_uri);
      expect(page.text).toContain('a program on this computer (port 59999)');
    },
  );

  it('marks a client that has registered itself, and shows its redirect host in ASCII', async () => {
    const uri = 'https://xn--pple-43d.example/cb';
    const { body } = await register({ client_name: 'Bank', redirect_uris: ['https://аpple.example/cb'] });
    const page = await pageFor(body.client_id, body.redirect_uris[0]);
    expect(page.text).toContain('This application has registered itself.');
    expect(page.text).toContain(`<strong>${new URL(uri).host}</strong>`);
  });

  it('shows the redirect host of every client, and no mark for a client of an administrator', async () => {
    const page = await consentPage(booted.origin, {});
    expect(page.text).toContain('a program on this computer (port 4000)');
    expect(page.text).not.toContain('registered itself');
  });

  it('deletes clients without a consent after a day', async () => {
    const [used, unused] = [await register(), await register()];
    await connectOnce(booted.origin, used.body);
    await booted.db.manager.update(
      OauthClient,
      [used, unused].map(({ body }) => body.client_id),
      {
        expiresAt: new Date(0),
      },
    );
    await booted.app.get(SelfRegistration).cleanUp();
    const exists = (id: string) => booted.db.manager.existsBy(OauthClient, { id });
    expect([await exists(used.body.client_id), await exists(unused.body.client_id)]).toEqual([true, false]);
    expect(await exists('web')).toBe(true);
  });

  describe('attacks', () => {
    it.each<[string, object]>([
      ['client credentials', { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }],
      [
        'the device flow',
        { grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], response_types: [] },
      ],
      ['CIBA', { grant_types: ['urn:openid:params:grant-type:ciba'], response_types: [] }],
      [
        'token exchange',
        { grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:token-exchange'] },
      ],
      ['audiences', { audiences: ['http://localhost:3000'] }],
      ['exchanges', { exchanges: 'web' }],
      ['a URL that the server would fetch', { jwks_uri: 'https://client.example/jwks' }],
      ['a URL that the server would post to', { backchannel_logout_uri: 'https://client.example/logout' }],
      ['plain HTTP', { redirect_uris: ['http://client.example/cb'] }],
      ['a name with bidirectional characters', { client_name: 'Bank\u202egnp' }],
      ['a name with control characters', { client_name: 'Bank\u0007' }],
      ['a name with an unassigned character', { client_name: 'Bank\u0378' }],
      ['a name of invisible letters', { client_name: '\u3164' }],
      ['a blank name', { client_name: '  ' }],
      ['a name that is a number', { client_name: 1 }],
      ['a long name', { client_name: 'x'.repeat(101) }],
      ['an unknown scope', { scope: 'root' }],
      ['different scopes', { scope: 'documents:read', resource_scopes: 'audit:read' }],
      [
        'many redirect URIs',
        { redirect_uris: Array.from({ length: 11 }, (_, i) => `https://a${i}.example/`) },
      ],
      ['much metadata', { contacts: Array.from({ length: 500 }, (_, i) => `person${i}@client.example`) }],
    ])('rejects %s', async (_, metadata) => {
      const { status, body } = await register(metadata);
      expect(status).toBe(400);
      expect(body.error).toMatch(/^invalid_(client_metadata|redirect_uri)$/);
    });

    it('stores the canonical form of a name', async () => {
      const { body } = await register({ client_name: ' Cafe\u0301 ' });
      expect(body.client_name).toBe('Caf\u00e9');
    });

    it('rejects an update beyond the limits', async () => {
      const { body } = await register();
      const { pathname } = new URL(body.registration_client_uri);
      const changed = await client(booted.origin).send('PUT', pathname, {
        headers: { Authorization: `Bearer ${body.registration_access_token}` },
        body: { client_id: body.client_id, redirect_uris: [CALLBACK], exchanges: 'web' },
      });
      expect(changed).toMatchObject({ status: 400, body: { error: 'invalid_client_metadata' } });
    });

    it('rejects an invented initial access token', async () => {
      expect((await register({}, { Authorization: 'Bearer made-up' })).status).toBe(401);
    });

    it('limits the new clients of one network', async () => {
      for (let i = 0; i < 20; i++) expect((await register()).status).toBe(201);
      const { status, headers } = await register();
      expect(status).toBe(429);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    });
  });

  it.each([
    [
      'in production',
      { NODE_ENV: 'production', PUBLIC_URL: 'https://api.example', APP_SECRET: RANDOM_SECRET },
    ],
    ['if it is switched off', { OAUTH_OPEN_REGISTRATION: 'false' }],
  ])('is off %s', async (_, env) => {
    const closed = await boot({ env: { ...env, TRUST_PROXY: '127.0.0.1' } });
    try {
      const https = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '203.0.113.7' };
      expect((await register({}, https, closed)).status).toBe(401);
    } finally {
      await closed.close();
    }
  });
});

describe('a Client ID Metadata Document', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-mcp-'));
  let processes: Processes;
  let site: Server;
  let origin: string;
  let home: string;
  /** The documents by path. */
  const documents: Record<string, object> = {};
  const requested: string[] = [];
  beforeAll(async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
    execFileSync('openssl', ['req', '-x509', ...made, ...names, '-keyout', key, '-out', cert], {
      stdio: 'pipe',
    });
    site = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      requested.push(request.url!);
      const found = documents[request.url!];
      if (request.url === '/redirect') response.writeHead(302, { Location: '/client.json' });
      else response.writeHead(found ? 200 : 404, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(found ?? {}));
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    home = `https://localhost:${(site.address() as AddressInfo).port}`;
    const port = await freePort();
    origin = `http://localhost:${port}`;
    const env = { PORT: String(port), PUBLIC_URL: origin, NODE_EXTRA_CA_CERTS: cert };
    processes = await startProcesses(1, env);
    for (const path of ['/client.json', '/other.json', '/redirect']) documents[path] = documentAt(path);
  }, 120_000);
  afterAll(async () => {
    await processes.stop();
    site.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => processes.db.query('DELETE FROM login_failures'));

  const documentAt = (path: string, more: object = {}) => ({
    client_id: `${home}${path}`,
    client_name: 'MCP client',
    redirect_uris: [CALLBACK],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    ...more,
  });

  it.each(SDKS)('lets %s call the API', async (_, library) => {
    const metadata = (await client(origin).get('/oidc/.well-known/openid-configuration')).body;
    expect(metadata.client_id_metadata_document_supported).toBe(true);
    const store = new Store(`${home}/client.json`);
    const response = await connect(library, store, origin);
    expect(await response.json()).toMatchObject({ items: expect.any(Array) });
    expect(claimsOf(store.tokens().access_token)).toMatchObject({
      client_id: `${home}/client.json`,
      aud: origin,
    });
  });

  it('names the host of the document on the consent page', async () => {
    const page = await consentPage(origin, { client_id: `${home}/client.json`, redirect_uri: CALLBACK });
    expect(page.text).toContain(`<strong>${new URL(home).host}</strong>`);
    expect(page.text).toContain('Nobody here has checked its name.');
  });

  describe('attacks', () => {
    it.each<[string, string, object]>([
      ['that names another client', '/other.json', { client_id: 'https://client.example/other.json' }],
      ['with a redirect URI of another origin', '/foreign', { redirect_uris: ['https://evil.example/cb'] }],
      ['with a secret', '/secret', { client_secret: 'x'.repeat(43) }],
      ['of a resource server', '/audiences', { audiences: ['http://localhost:3000'] }],
      ['that exchanges the tokens of others', '/exchanges', { exchanges: 'web' }],
      ['with a name of bidirectional characters', '/name', { client_name: 'Bank\u202egnp' }],
      ['of more than 5 KiB', '/large', { contacts: ['x'.repeat(6_000)] }],
      ['behind a redirect', '/redirect', {}],
      ['that is missing', '/missing', {}],
    ])('rejects a document %s', async (_, path, more) => {
      if (path !== '/missing') documents[path] = documentAt(path, more);
      const { status, to } = await oauthAt(origin).authorize({
        client_id: `${home}${path}`,
        redirect_uri: CALLBACK,
      });
      expect({ status, to }).toEqual({ status: expect.any(Number), to: undefined });
      expect(status).toBeGreaterThanOrEqual(400);
    });

    it('limits the documents that one network lets the server fetch', async () => {
      const count = requested.length;
      for (let i = 0; i < 22; i++) await oauthAt(origin).authorize({ client_id: `${home}/missing-${i}` });
      expect(requested.length - count).toBe(20);
    });

    it('does not grant a client more than the code flow', async () => {
      documents['/machine'] = documentAt('/machine', {
        grant_types: ['authorization_code', 'client_credentials'],
      });
      const form = { grant_type: 'client_credentials', client_id: `${home}/machine` };
      expect((await oauthAt(origin).post('/token', form)).body.error).toBe('unauthorized_client');
    });
  });

  it('is off in production', async () => {
    const env = {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://api.example',
      APP_SECRET: RANDOM_SECRET,
      TRUST_PROXY: '127.0.0.1',
    };
    const closed = await boot({ env });
    try {
      const { body } = await client(closed.origin).get('/oidc/.well-known/openid-configuration', {
        'X-Forwarded-Proto': 'https',
      });
      expect(body.issuer).toBe('https://api.example/oidc');
      expect(body).not.toHaveProperty('client_id_metadata_document_supported');
    } finally {
      await closed.close();
    }
  });
});

/** The consent page for bob. */
async function consentPage(origin: string, request: Record<string, string>): Promise<Page> {
  const browser = new Browser(origin);
  const login = await browser.page(oauthAt(origin).authorization({ prompt: 'consent', ...request }));
  const password = 'correct-horse-battery-staple';
  return (await browser.submit(login, { username: 'bob', password }, 'Sign in')) as Page;
}

/** Gives a client one consent. */
async function connectOnce(origin: string, { client_id }: { client_id: string }): Promise<void> {
  const url = oauthAt(origin).authorization({ client_id, redirect_uri: CALLBACK });
  const { callback } = await signIn({ origin }, url);
  expect(codeOf(callback)).toEqual(expect.any(String));
}
