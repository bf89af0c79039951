import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { SignJWT, exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { boot, type Booted } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { oauthAt } from './flows.js';

describe("a client's keys at its jwks_uri", () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  let server: Server;
  let uri: string;
  let id: string;
  let fetches = 0;
  let published: object[] = [];
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
    const port = await freePort();
    uri = `http://localhost:${port}/jwks`;
    server = createServer((_request, response) => {
      fetches++;
      response.setHeader('Content-Type', 'application/json');
      response.setHeader('Cache-Control', 'max-age=86400');
      response.end(JSON.stringify({ keys: published }));
    }).listen(port);
    await once(server, 'listening');
  });
  beforeEach(async () => {
    [fetches, published, id] = [0, [], randomUUID()];
    await booted.app.get(ClientsService, { strict: false }).upsert(id, {
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['authorization_code'],
      redirect_uris: ['https://client.example/callback'],
      jwks_uri: uri,
    });
  });
  afterAll(async () => {
    server.close();
    await booted.close();
  });

  const newKey = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
  };
  /** The status of an introspection request, which only an authenticated client may send. */
  const authenticate = async ({ kid, privateKey }: { kid: string; privateKey: CryptoKey }) => {
    const client_assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(id)
      .setSubject(id)
      .setAudience(oauth.issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey);
    const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    return (await oauth.post('/token/introspection', { token: 'x', client_assertion, client_assertion_type }))
      .status;
  };

  it('are fetched again at once for an unknown kid, so that the client can rotate them', async () => {
    const [first, second] = [await newKey('first'), await newKey('second')];
    published = [first.jwk];
    expect(await authenticate(first)).toBe(200);
    expect(await authenticate(first)).toBe(200);
    expect(fetches).toBe(1);
    published = [second.jwk];
    expect(await authenticate(second)).toBe(200);
    expect(fetches).toBe(2);
    expect(await authenticate(first)).toBe(401);
  });

  it('are fetched at most twice in ten seconds, however many unknown kids are sent', async () => {
    const known = await newKey('known');
    published = [known.jwk];
    expect(await authenticate(known)).toBe(200);
    for (let i = 0; i < 10; i++) expect(await authenticate({ ...known, kid: `unknown-${i}` })).toBe(401);
    const unknown = Array.from({ length: 10 }, () => authenticate({ ...known, kid: randomUUID() }));
    expect(await Promise.all(unknown)).toEqual(Array(10).fill(401));
    expect(fetches).toBe(2);
    expect(await authenticate(known)).toBe(200);
  });

  it('are fetched at most twice in ten seconds while their server is broken', async () => {
    const key = await newKey('key');
    const port = await freePort();
    let connections = 0;
    const broken = createServer().on('connection', (socket) => {
      connections++;
      socket.destroy();
    });
    await once(broken.listen(port), 'listening');
    await booted.app.get(ClientsService, { strict: false }).upsert(id, {
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['authorization_code'],
      redirect_uris: ['https://client.example/callback'],
      jwks_uri: `http://localhost:${port}/jwks`,
    });
    for (let i = 0; i < 10; i++) expect(await authenticate(key)).toBe(401);
    broken.close();
    expect(connections).toBeLessThanOrEqual(4);
  });
});
