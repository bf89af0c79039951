import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { X509Certificate, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as send } from 'node:https';
import { buffer } from 'node:stream/consumers';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { DEMO_FAPI_KEY, demoSecret } from '../../src/authorization-server/authorization-server.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { signIn } from './browser.js';
import { WEB_CALLBACK, basicOf, claimsOf } from './flows.js';

const FAPI_CALLBACK = 'https://localhost:4443/callback';
/** The test server has no TLS. */
const insecure = { [oauth.allowInsecureRequests]: true };

/** A `fetch` with a client certificate. */
const fetchWithCertificate =
  (identity: { cert: string; key: string; ca: string }) =>
  async (url: string, { method, headers, body }: openid.CustomFetchOptions) => {
    const sent = send(url, { ...identity, agent: false, method, headers });
    sent.end(body instanceof URLSearchParams ? body.toString() : undefined);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const type = { 'Content-Type': response.headers['content-type'] ?? '' };
    return new Response(Uint8Array.from(await buffer(response)), {
      status: response.statusCode!,
      headers: type,
    });
  };

describe('independent client libraries', () => {
  let booted: Booted;
  let issuer: URL;
  let privateKey: CryptoKey;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    issuer = new URL(`${booted.origin}/oidc`);
    const ES256 = { name: 'ECDSA', namedCurve: 'P-256' };
    privateKey = await webcrypto.subtle.importKey('jwk', { ...DEMO_FAPI_KEY }, ES256, false, ['sign']);
  });
  afterAll(() => booted.close());

  const alice = () => client(booted.origin, basicOf('alice', 'correct-horse-battery-staple'));

  describe('openid-client', () => {
    const discover = (id: string, auth?: openid.ClientAuth, metadata?: Partial<openid.ClientMetadata>) =>
      openid.discovery(issuer, id, metadata, auth, { execute: [openid.allowInsecureRequests] });

    it('completes the code flow with PKCE, refresh, userinfo and revocation', async () => {
      const config = await discover('web', openid.ClientSecretBasic(demoSecret('web')));
      const [verifier, state, nonce] = [
        openid.randomPKCECodeVerifier(),
        openid.randomState(),
        openid.randomNonce(),
      ];
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: WEB_CALLBACK,
        scope: 'openid offline_access documents:read',
        prompt: 'consent',
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      });
      const { callback } = await signIn(booted, url);
      const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
      const tokens = await openid.authorizationCodeGrant(config, callback, checks);
      expect(tokens.claims()).toMatchObject({ sub: 'bob', aud: 'web' });
      const again = await openid.refreshTokenGrant(config, tokens.refresh_token!);
      expect(claimsOf(again.access_token)).toMatchObject({ sub: 'bob', scope: tokens.scope });
      const who = await openid.refreshTokenGrant(config, again.refresh_token!, { scope: 'openid' });
      expect(await openid.fetchUserInfo(config, who.access_token, 'bob')).toMatchObject({ sub: 'bob' });
      await openid.tokenRevocation(config, who.refresh_token!);
      await expect(openid.refreshTokenGrant(config, who.refresh_token!)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
    });

    it('requests client credentials tokens with each kind of client secret', async () => {
      const methods = {
        client_secret_basic: openid.ClientSecretBasic,
        client_secret_post: openid.ClientSecretPost,
        client_secret_jwt: openid.ClientSecretJwt,
      };
      for (const [method, auth] of Object.entries(methods)) {
        const { body } = await alice().post('/oauth/clients', {
          token_endpoint_auth_method: method,
          grant_types: ['client_credentials'],
          response_types: [],
          redirect_uris: [],
          resource_scopes: 'documents:read',
          account: 'acme-machine',
        });
        const config = await discover(body.client_id, auth(body.client_secret));
        const { access_token } = await openid.clientCredentialsGrant(config, { scope: 'documents:read' });
        expect(claimsOf(access_token)).toMatchObject({ client_id: body.client_id, scope: 'documents:read' });
        const asker = await discover(
          'resource-server',
          openid.ClientSecretBasic(demoSecret('resource-server')),
        );
        expect(await openid.tokenIntrospection(asker, access_token)).toMatchObject({ active: true });
      }
    });

    it('registers dynamically', async () => {
      const { initial_access_token } = (await alice().post('/oauth/initial-access-tokens')).body;
      const config = await openid.dynamicClientRegistration(
        issuer,
        { redirect_uris: ['https://client.example/callback'] },
        undefined,
        { initialAccessToken: initial_access_token, execute: [openid.allowInsecureRequests] },
      );
      expect(config.clientMetadata()).toMatchObject({
        client_id: expect.any(String),
        token_endpoint_auth_method: 'client_secret_basic',
      });
    });

    it.each(['PAR', 'JAR and PAR'])('completes FAPI 2.0 with %s and DPoP', async (way) => {
      const config = await discover('fapi', openid.PrivateKeyJwt(privateKey));
      const dpop = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
      const [verifier, state] = [openid.randomPKCECodeVerifier(), openid.randomState()];
      let parameters = new URLSearchParams({
        redirect_uri: FAPI_CALLBACK,
        scope: 'openid documents:read',
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
      });
      if (way !== 'PAR')
        parameters = (await openid.buildAuthorizationUrlWithJAR(config, parameters, privateKey)).searchParams;
      const url = await openid.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: dpop });
      expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
      const { callback } = await signIn(booted, url);
      const tokens = await openid.authorizationCodeGrant(
        config,
        callback,
        { pkceCodeVerifier: verifier, expectedState: state },
        undefined,
        { DPoP: dpop },
      );
      expect(tokens.token_type).toBe('dpop');
      expect(claimsOf(tokens.access_token)).toMatchObject({ cnf: { jkt: await dpop.calculateThumbprint() } });
    });

    it('uses the mTLS endpoint aliases of the metadata', async () => {
      const openssl = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '1',
      ];
      const pem = execFileSync('openssl', [...openssl, '-subj', '/CN=x', '-keyout', '-'], {
        stdio: 'pipe',
      }).toString();
      const [cert, key] = [
        /-----BEGIN CERT[\s\S]+?-----END CERT.*/,
        /-----BEGIN PRIV[\s\S]+?-----END PRIV.*/,
      ].map((part) => part.exec(pem)![0]) as [string, string];
      const certificate = new X509Certificate(cert);
      const jwk = {
        ...certificate.publicKey.export({ format: 'jwk' }),
        x5c: [certificate.raw.toString('base64')],
      };
      const { body } = await alice().post('/oauth/clients', {
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: { keys: [jwk] },
        tls_client_certificate_bound_access_tokens: true,
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        account: 'acme-machine',
      });
      const metadata = { use_mtls_endpoint_aliases: true };
      const config = await discover(body.client_id, openid.TlsClientAuth(), metadata);
      const ca = (await client(booted.origin).get('/mtls/ca.pem')).body as string;
      config[openid.customFetch] = fetchWithCertificate({ cert, key, ca });
      const { access_token } = await openid.clientCredentialsGrant(config);
      expect(claimsOf(access_token)).toHaveProperty(['cnf', 'x5t#S256']);
    });
  });

  describe('oauth4webapi', () => {
    const server = async () =>
      oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));

    it('discovers the server by RFC 8414', async () => {
      const response = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' });
      expect(await oauth.processDiscoveryResponse(issuer, response)).toMatchObject({ issuer: issuer.href });
    });

    it('completes the code flow of a public client with PKCE and DPoP', async () => {
      const as = await server();
      const spa: oauth.Client = { client_id: 'spa' };
      const redirect_uri = 'http://localhost:5173/callback';
      const verifier = oauth.generateRandomCodeVerifier();
      const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
      const url = new URL(as.authorization_endpoint!);
      url.search = new URLSearchParams({
        client_id: 'spa',
        redirect_uri,
        response_type: 'code',
        scope: 'openid offline_access documents:read',
        prompt: 'consent',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      }).toString();
      const { callback } = await signIn(booted, url);
      const params = oauth.validateAuthResponse(as, spa, callback, state);
      const DPoP = oauth.DPoP(spa, await oauth.generateKeyPair('ES256'));
      const options = { ...insecure, DPoP };
      const first = await oauth.processAuthorizationCodeResponse(
        as,
        spa,
        await oauth.authorizationCodeGrantRequest(
          as,
          spa,
          oauth.None(),
          params,
          redirect_uri,
          verifier,
          options,
        ),
        { expectedNonce: nonce, requireIdToken: true },
      );
      expect(oauth.getValidatedIdTokenClaims(first)).toMatchObject({ sub: 'bob' });
      const second = await oauth.processRefreshTokenResponse(
        as,
        spa,
        await oauth.refreshTokenGrantRequest(as, spa, oauth.None(), first.refresh_token!, options),
      );
      expect(claimsOf(second.access_token)).toMatchObject({ cnf: { jkt: await DPoP.calculateThumbprint() } });
    });

    it('requests, introspects and revokes a client credentials token', async () => {
      const as = await server();
      const machine = { client_id: 'machine' };
      const auth = oauth.ClientSecretBasic(demoSecret('machine'));
      const granted = await oauth.processClientCredentialsResponse(
        as,
        machine,
        await oauth.clientCredentialsGrantRequest(as, machine, auth, { scope: 'documents:read' }, insecure),
      );
      const about = async () =>
        oauth.processIntrospectionResponse(
          as,
          machine,
          await oauth.introspectionRequest(as, machine, auth, granted.access_token, insecure),
        );
      expect(await about()).toMatchObject({ active: true, scope: 'documents:read' });
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(as, machine, auth, granted.access_token, insecure),
      );
      expect(await about()).toEqual({ active: false });
    });

    it('pushes a signed request, and handles the DPoP nonce', async () => {
      const as = await server();
      const fapi: oauth.Client = { client_id: 'fapi' };
      const auth = oauth.PrivateKeyJwt(privateKey);
      const verifier = oauth.generateRandomCodeVerifier();
      const request = await oauth.issueRequestObject(
        as,
        fapi,
        {
          redirect_uri: FAPI_CALLBACK,
          response_type: 'code',
          scope: 'documents:read',
          code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        },
        privateKey,
      );
      const DPoP = oauth.DPoP(fapi, await oauth.generateKeyPair('ES256'));
      const options = { ...insecure, DPoP };
      const push = async () =>
        oauth.processPushedAuthorizationResponse(
          as,
          fapi,
          await oauth.pushedAuthorizationRequest(as, fapi, auth, { request }, options),
        );
      const wanted = await push().catch((error: unknown) => error);
      expect(oauth.isDPoPNonceError(wanted)).toBe(true);
      expect(await push()).toMatchObject({
        request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:/),
      });
    });
  });
});
