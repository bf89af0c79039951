import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT, exportJWK, generateKeyPair, importJWK } from 'jose';
import { DEMO_FAPI_KEY } from '../../src/authorization-server/authorization-server.demo.js';
import { boot, type Booted } from '../support/app.js';
import { basicOf, clientAssertion, dpopKey, oauthAt } from './flows.js';

const now = () => Math.floor(Date.now() / 1000);

describe('an error description', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  describe('names the failed check of a client assertion', () => {
    const push = async (claims: Record<string, unknown>, signer?: Parameters<typeof clientAssertion>[2]) =>
      oauth.post('/request', { client_id: 'fapi', ...(await clientAssertion(oauth.issuer, claims, signer)) });

    it.each<[string, Record<string, unknown>]>([
      ['the audience (aud) of the client assertion is not accepted', { aud: 'https://evil.example' }],
      ['the assertion is valid for too long', { exp: now() + 7_200 }],
      ['jwt expired', { exp: now() - 60 }],
      ['jwt not active yet', { nbf: now() + 600 }],
      ['unique jti (JWT ID) must be provided in the client_assertion JWT', { jti: undefined }],
      ['expiration must be specified in the client_assertion JWT', { exp: undefined }],
      ['iss (JWT issuer) must be the client_id', { iss: 'web' }],
    ])('%s', async (description, claims) => {
      const { body } = await push(claims);
      expect(body).toEqual({ error: 'invalid_client', error_description: description });
    });

    it('the signature, the key and a second use', async () => {
      const key = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey);
      expect((await push({}, { key })).body.error_description).toBe('the signature of the JWT is invalid');
      const assertion = await clientAssertion(oauth.issuer);
      await oauth.post('/request', { client_id: 'fapi', ...assertion });
      expect((await oauth.post('/request', { client_id: 'fapi', ...assertion })).body.error_description).toBe(
        'client assertion tokens must only be used once',
      );
    });
  });

  it.each<[string, Record<string, unknown>]>([
    ['Request Object claims are invalid: jwt expired', { exp: now() - 60 }],
    ['Request Object claims are invalid: jwt issuer invalid', { iss: 'web' }],
    ['the request object has no start (nbf)', { nbf: undefined }],
    ['the request object is valid for more than an hour (exp)', { exp: now() + 7_200 }],
  ])('names the failed check of a request object: %s', async (description, claims) => {
    const all = { iss: 'fapi', client_id: 'fapi', aud: oauth.issuer, nbf: now(), exp: now() + 60, ...claims };
    const request = await new SignJWT(JSON.parse(JSON.stringify(all)) as Record<string, unknown>)
      .setProtectedHeader({ alg: 'ES256' })
      .sign(await importJWK(DEMO_FAPI_KEY, 'ES256'));
    const form = { client_id: 'fapi', request, ...(await clientAssertion(oauth.issuer)) };
    const { body } = await oauth.post('/request', form);
    expect(body).toEqual({ error: 'invalid_request_object', error_description: description });
  });

  it('names the failed check of a DPoP proof', async () => {
    const key = await dpopKey();
    const url = `${oauth.issuer}/token`;
    const send = async (proof: string) =>
      (
        await oauth.post(
          '/token',
          { grant_type: 'client_credentials' },
          { ...basicOf('machine'), DPoP: proof },
        )
      ).body.error_description as string;
    const proof = await key.proof(url);
    expect(await send(await key.proof(url, { htm: 'GET' }))).toBe('DPoP proof htm mismatch');
    expect(await send(await key.proof(`${oauth.issuer}/request`))).toBe('DPoP proof htu mismatch');
    expect(await send(proof.slice(0, -8) + 'AAAAAAAA')).toMatch(/^invalid DPoP key binding: [^"\\]+$/);
    expect(await send('a.b.c')).toMatch(/^invalid DPoP key binding: [^"\\]+$/);
    await send(proof);
    expect(await send(proof)).toBe('DPoP proof JWT Replay detected');
  });

  it.each<[string, object]>([
    ['code_verifier does not match code_challenge', { code_verifier: 'w'.repeat(43) }],
    ['code_verifier must be provided', { code_verifier: '' }],
    ['authorization code redirect_uri mismatch', { redirect_uri: 'http://localhost:4000/other' }],
  ])('names the failed check of a code: %s', async (description, more) => {
    const { body } = await oauth.redeem(await oauth.code(), { ...more });
    expect(body).toEqual({ error: 'invalid_grant', error_description: description });
  });

  describe('attacks', () => {
    it('is the same for an unknown client and for a wrong secret', async () => {
      const form = { grant_type: 'client_credentials' };
      for (const credentials of [basicOf('nobody', 'x'), basicOf('machine', 'x'), basicOf('spa', 'x')])
        expect((await oauth.post('/token', form, credentials)).body).toEqual({
          error: 'invalid_client',
          error_description: 'client authentication failed',
        });
    });

    it('is the same for a code or token that is unknown, used, or of another client', async () => {
      const { refresh_token } = await oauth.tokens();
      const code = await oauth.code();
      const generic = { error: 'invalid_grant', error_description: 'grant request is invalid' };
      expect((await oauth.redeem('unknown')).body).toEqual(generic);
      expect((await oauth.refresh('unknown')).body).toEqual(generic);
      const spa = { client_id: 'spa' };
      expect((await oauth.redeem(code, spa, {})).body).toEqual(generic);
      expect((await oauth.refresh(refresh_token, spa, {})).body).toEqual(generic);
      expect((await oauth.redeem(code)).status).toBe(200);
      expect((await oauth.redeem(code)).body).toEqual(generic);
    });
  });
});
