import { afterAll, beforeAll, expect, it } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { boot, type Booted } from '../support/app.js';

const CLIENT: oauth.Client = { client_id: 'machine' };
const secret = oauth.ClientSecretBasic('machine-demo-secret-0123456789abcdef');
const insecure = { [oauth.allowInsecureRequests]: true };

let booted: Booted;
beforeAll(async () => (booted = await boot({ publicUrlIsOrigin: true })));
afterAll(() => booted.close());

/** `oauth4webapi` throws if the response has a challenge. */
const request = async (path: string, token: string, method = 'GET') =>
  oauth.protectedResourceRequest(token, method, new URL(booted.origin + path), new Headers(), null, insecure);
const challengeOf = async (response: Promise<Response>) => {
  const error: unknown = await response.catch((thrown: unknown) => thrown);
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw new Error('There was no challenge.');
  return { status: error.status, ...error.cause[0]! };
};

it('lets a client that knows only a route discover the server, a token and the missing scope', async () => {
  const { status, parameters } = await challengeOf(request('/documents', 'an-unknown-opaque-token'));
  expect(status).toBe(401);
  const location = new URL(parameters['resource_metadata']!);

  // The client checks that the metadata belongs to the requested resource (RFC 9728 section 3.3).
  const metadata = await fetch(location);
  const resource = await oauth.processResourceDiscoveryResponse(new URL(booted.origin), metadata);
  const issuer = new URL(resource.authorization_servers![0]!);
  const discovery = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, discovery);

  const grant = async (scope: string) => {
    const parameters = { scope, resource: resource.resource };
    const response = await oauth.clientCredentialsGrantRequest(server, CLIENT, secret, parameters, insecure);
    return (await oauth.processClientCredentialsResponse(server, CLIENT, response)).access_token;
  };
  const reading = await grant('documents:read');
  expect((await request('/documents', reading)).status).toBe(200);

  // The challenge names the missing scope.
  const missing = await challengeOf(request('/documents', reading, 'POST'));
  expect([missing.status, missing.parameters.error]).toEqual([403, 'insufficient_scope']);
  const writing = await grant(missing.parameters.scope!);
  const created = await fetch(`${booted.origin}/documents`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${writing}`, 'Content-Type': 'application/json' },
    body: '{ "title": "a draft" }',
  });
  expect(created.status).toBe(201);
});
