import { afterAll, beforeAll, expect, it } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { boot, type Booted } from '../support/app.js';

const CLIENT: oauth.Client = { client_id: 'machine' };
const secret = oauth.ClientSecretBasic('machine-demo-secret-0123456789abcdef');
const insecure = { [oauth.allowInsecureRequests]: true };

let booted: Booted;
beforeAll(async () => (booted = await boot({ known: true })));
afterAll(() => booted.close());

/** Sends a request as oauth4webapi does, which throws where the answer has a challenge. */
const ask = async (path: string, token: string, method = 'GET') =>
  oauth.protectedResourceRequest(token, method, new URL(booted.origin + path), new Headers(), null, insecure);
const challengeOf = async (asking: Promise<Response>) => {
  const error: unknown = await asking.catch((thrown: unknown) => thrown);
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw new Error('There was no challenge.');
  return { status: error.status, ...error.cause[0]! };
};

it('from nothing to a 200: a client that knows the address of a route alone finds all the rest', async () => {
  const { status, parameters } = await challengeOf(ask('/documents', 'nothing-that-anybody-knows'));
  expect(status).toBe(401);
  const location = new URL(parameters['resource_metadata']!);

  // The document must be that of the resource that was asked: the client checks (RFC 9728, section 3.3).
  const answer = await fetch(location);
  const resource = await oauth.processResourceDiscoveryResponse(new URL(booted.origin), answer);
  const issuer = new URL(resource.authorization_servers![0]!);
  const discovery = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, discovery);

  const grant = async (scope: string) => {
    const asked = { scope, resource: resource.resource };
    const response = await oauth.clientCredentialsGrantRequest(server, CLIENT, secret, asked, insecure);
    return (await oauth.processClientCredentialsResponse(server, CLIENT, response)).access_token;
  };
  const reading = await grant('documents:read');
  expect((await ask('/documents', reading)).status).toBe(200);

  // What the token lacks is said as well, and is enough.
  const missing = await challengeOf(ask('/documents', reading, 'POST'));
  expect([missing.status, missing.parameters.error]).toEqual([403, 'insufficient_scope']);
  const writing = await grant(missing.parameters.scope!);
  const created = await fetch(`${booted.origin}/documents`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${writing}`, 'Content-Type': 'application/json' },
    body: '{ "title": "a draft" }',
  });
  expect(created.status).toBe(201);
});
