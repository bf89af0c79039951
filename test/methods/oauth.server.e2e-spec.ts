import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { boot, type Booted } from '../app.js';

const basic = (id: string) =>
  `Basic ${Buffer.from(`${id}:${id}-demo-secret-0123456789abcdef`).toString('base64')}`;

describe('the authorization server', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ known: true })));
  afterAll(() => booted.close());

  const post = async (path: string, form: Record<string, string>, client?: string) => {
    const response = await fetch(`${booted.origin}/oidc${path}`, {
      method: 'POST',
      headers: client ? { Authorization: basic(client) } : {},
      body: new URLSearchParams(form),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
  };

  it('says what it is, where OpenID Connect and RFC 8414 look for it', async () => {
    for (const path of [
      '/oidc/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server/oidc',
    ]) {
      const response = await fetch(booted.origin + path);
      expect(await response.json()).toMatchObject({
        issuer: `${booted.origin}/oidc`,
        token_endpoint: `${booted.origin}/oidc/token`,
      });
    }
  });

  it('gives a service a token in its own name, and says of it what it is worth', async () => {
    const { status, body } = await post('/token', { grant_type: 'client_credentials' }, 'machine');
    expect({ status, body }).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 300 } });
    const introspected = await post('/token/introspection', { token: body.access_token }, 'resource-server');
    expect(introspected.body).toMatchObject({ active: true, client_id: 'machine', aud: booted.origin });
    expect((await post('/token/revocation', { token: body.access_token }, 'machine')).status).toBe(200);
    const again = await post('/token/introspection', { token: body.access_token }, 'resource-server');
    expect(again.body).toEqual({ active: false });
  });
});
