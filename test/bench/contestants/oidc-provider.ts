import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { announce } from './contestant.js';

/** The baseline of the authorization server: oidc-provider alone, with its in-memory adapter, on Node's HTTP server. */
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const scope = 'documents:read';
const resource = { scope, audience: origin, accessTokenTTL: 300 };
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(origin, {
  jwks: {
    keys: [{ ...(privateKey.export({ format: 'jwk' }) as JsonWebKey & object), alg: 'ES256', use: 'sig' }],
  },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clients: [
    {
      client_id: 'machine',
      client_secret: process.argv[2]!,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => origin,
      getResourceServerInfo: () => ({
        ...resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
const handle = provider.callback();
server.on('request', (request, response) => void handle(request, response));
announce(server);
