import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoSecret } from '../../src/authorization-server/authorization-server.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { basicOf, dpopKey, oauthAt } from './flows.js';

/** Two servers: `issuer` issues opaque tokens, and `api` accepts them by introspection (RFC 7662). */
describe('a resource server that introspects the tokens of another server', () => {
  let issuer: Booted;
  let api: Booted;
  let archive: string;
  beforeAll(async () => {
    issuer = await boot({ publicUrlIsOrigin: true });
    archive = `${issuer.origin}/archive`;
    const trusted = {
      issuer: `${issuer.origin}/oidc`,
      audience: archive,
      tenant: 'acme',
      accounts: { claim: 'sub', ids: { bob: 'bob' }, clients: { machine: 'acme-machine' } },
      scopes: ['documents:read', 'documents:write'],
      algorithms: ['ES256'],
      introspection: {
        endpoint: `${issuer.origin}/oidc/token/introspection`,
        client_id: 'resource-server',
        client_secret: demoSecret('resource-server'),
      },
    };
    api = await boot({ publicUrlIsOrigin: true, env: { OAUTH_ISSUERS: JSON.stringify([trusted]) } });
  });
  afterAll(async () => {
    await api.close();
    await issuer.close();
  });

  const get = (token: string, headers: Record<string, string> = {}, path = '/demo/oauth') =>
    client(api.origin).get(path, { Authorization: `Bearer ${token}`, ...headers });
  /** An opaque token of a client itself. */
  const clientToken = async (
    form: Record<string, string> = {},
    headers: Record<string, string> = basicOf('machine'),
  ) => {
    const { status, body } = await oauthAt(issuer.origin).post(
      '/token',
      { grant_type: 'client_credentials', resource: archive, scope: 'documents:read', ...form },
      headers,
    );
    expect(status).toBe(200);
    const token = body.access_token as string;
    expect(token).not.toContain('.');
    return token;
  };

  it('maps a client’s own token, which has no `sub`, to the configured machine account', async () => {
    const token = await clientToken();
    const introspected = await oauthAt(issuer.origin).introspect(token);
    expect(introspected).toMatchObject({ active: true, client_id: 'machine', aud: archive });
    expect(introspected).not.toHaveProperty('sub');
    const { status, body } = await get(token);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: 'acme-machine',
      kind: 'client',
      scopes: ['documents:read'],
      proofs: [{ method: 'oauth', client: 'machine', bound: false }],
    });
  });

  it('maps a user’s token by its `sub`, not by its client', async () => {
    const oauth = oauthAt(issuer.origin);
    const more = { scope: 'openid documents:read', resource: archive };
    const { body } = await oauth.redeem(await oauth.code(more), { resource: archive });
    expect((await get(body.access_token)).body).toMatchObject({ id: 'bob', scopes: ['documents:read'] });
  });

  it('grants no scopes to a token without scopes', async () => {
    const { status, body } = await get(await clientToken({ scope: '' }));
    expect([status, body.scopes]).toEqual([200, []]);
  });

  it('requires the DPoP key to which a token is bound', async () => {
    const { proof } = await dpopKey();
    const { origin } = issuer;
    const token = await clientToken({}, { ...basicOf('machine'), DPoP: await proof(`${origin}/oidc/token`) });
    expect((await get(token)).body).toMatchObject({ status: 401, code: 'invalid_token' });
  });

  it('rejects a client’s own token if no account is configured for the client', async () => {
    const metadata = {
      client_name: 'Another service',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      resource_scopes: 'documents:read',
      account: 'acme-machine',
    };
    const alice = client(issuer.origin, basicOf('alice', 'correct-horse-battery-staple'));
    const { client_id, client_secret } = (await alice.post('/oauth/clients', metadata)).body;
    const response = await get(await clientToken({}, basicOf(client_id, client_secret)));
    expect(response).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(response.headers.get('www-authenticate')).toContain('Bearer');
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });
});
