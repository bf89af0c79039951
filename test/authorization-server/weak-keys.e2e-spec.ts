import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomUUID, type JsonWebKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { OauthClient } from '../../src/authorization-server/clients/oauth-client.entity.js';
import { boot, client, type Booted } from '../support/app.js';
import { startIssuerServer } from '../support/issuer.js';
import { WEAK_KEYS, forgeJwt } from '../support/weak-keys.js';
import { basicOf, oauthAt } from './flows.js';

const NEUTRAL = WEAK_KEYS['Ed25519, the neutral element']!;

describe('weak keys of OAuth clients', () => {
  let booted: Booted;
  let server: Awaited<ReturnType<typeof startIssuerServer>>;
  beforeAll(async () => {
    server = await startIssuerServer();
    booted = await boot({ publicUrlIsOrigin: true });
  });
  afterAll(async () => {
    await booted.close();
    await server.close();
  });

  const now = () => Math.floor(Date.now() / 1000);
  const register = (keys: object) =>
    client(booted.origin, basicOf('alice', 'correct-horse-battery-staple')).post('/oauth/clients', {
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'EdDSA',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      account: 'acme-machine',
      ...keys,
    });
  const claimsOf = (id: string) => ({
    ...{ iss: id, sub: id, aud: `${booted.origin}/oidc` },
    ...{ jti: randomUUID(), iat: now(), exp: now() + 60 },
  });
  const tokenBy = (id: string, assertion: string) =>
    oauthAt(booted.origin).post('/token', {
      grant_type: 'client_credentials',
      client_id: id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    });

  it.each(Object.entries(WEAK_KEYS))('are not registered: %s', async (_, jwk) => {
    const before = await booted.db.manager.countBy(OauthClient, {});
    const { status, body } = await register({ jwks: { keys: [{ ...jwk, kid: 'weak' }] } });
    expect(status).toBe(422);
    expect(body.code).toBe('invalid_client_metadata');
    expect(await booted.db.manager.countBy(OauthClient, {})).toBe(before);
  });

  it('at a jwks_uri are ignored, and strong keys beside them work', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const strong: JsonWebKey = { ...publicKey.export({ format: 'jwk' }), kid: 'strong' };
    server.at('/keys', () => ({ keys: [{ ...NEUTRAL, kid: 'weak' }, strong] }));
    const registered = await register({ jwks_uri: `${server.origin}/keys` });
    expect(registered.status).toBe(201);
    const id = registered.body.client_id as string;
    const valid = new SignJWT(claimsOf(id)).setProtectedHeader({ alg: 'EdDSA', kid: 'strong' });
    expect((await tokenBy(id, await valid.sign(privateKey))).status).toBe(200);
    for (const header of [{ kid: 'weak' }, {}]) {
      const { status, body } = await tokenBy(id, forgeJwt(NEUTRAL, header, claimsOf(id)));
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
  });

  it('of a client that was registered before are rejected', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const { body } = await register({
      jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }] },
    });
    const id = body.client_id as string;
    const { metadata } = await booted.db.manager.findOneByOrFail(OauthClient, { id });
    const weak = { ...metadata, jwks: { keys: [{ ...NEUTRAL, kid: 'a' }] } };
    await booted.db.manager.update(OauthClient, { id }, { metadata: weak });
    const response = await tokenBy(id, forgeJwt(NEUTRAL, { kid: 'a' }, claimsOf(id)));
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.body.access_token).toBeUndefined();
  });

  it('in a DPoP proof are rejected', async () => {
    const { post, issuer } = oauthAt(booted.origin);
    const claims = { htm: 'POST', htu: `${issuer}/token`, jti: randomUUID(), iat: now() };
    const proof = forgeJwt(NEUTRAL, { typ: 'dpop+jwt', jwk: NEUTRAL }, claims);
    const { status, body } = await post(
      '/token',
      { grant_type: 'client_credentials', scope: 'documents:read' },
      { ...basicOf('machine'), DPoP: proof },
    );
    expect([status, body.error, body.error_description]).toEqual([
      400,
      'invalid_dpop_proof',
      'the key of the proof is too weak',
    ]);
  });
});
