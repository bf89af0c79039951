import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { newKey, type FakeProvider } from './oidc-login.fake-provider.js';
import { WEAK_KEYS, forgeSignature } from '../support/weak-keys.js';
import {
  INVALID_IDENTITY,
  startSignIn,
  reconfigure,
  linkIdentity,
  op,
  other,
  issuedPrincipal,
  signIn,
  setUp,
  expectNoChange,
} from './oidc-login.harness.js';

setUp();

describe('ported from the OpenID conformance suite (relying party, basic)', () => {
  /** Keeps header and claims, and replaces the signature. */
  const withSignature = (signature: string) => (idToken: string) =>
    `${idToken.split('.').slice(0, 2).join('.')}.${signature}`;
  const reversed = (idToken: string) => {
    const signature = Buffer.from(Buffer.from(idToken.split('.')[2]!, 'base64url').toReversed()).toString(
      'base64url',
    );
    return withSignature(signature)(idToken);
  };
  const withHeader = (header: object, signature: (text: string) => string) => (idToken: string) => {
    const encoded = Buffer.from(JSON.stringify(header)).toString('base64url');
    const text = `${encoded}.${idToken.split('.')[1]}`;
    return `${text}.${signature(text)}`;
  };
  const seconds = () => Math.floor(Date.now() / 1000);
  let keys: FakeProvider['keys'];
  let rs256: FakeProvider['keys'];
  let others: FakeProvider['keys'];
  beforeAll(async () => {
    keys = op.keys;
    others = [await newKey('other')];
    rs256 = [await newKey('rsa', 'RS256')];
  });
  afterEach(() => {
    op.keys = keys;
  });

  it.each<[string, () => void]>([
    ['oidcc-client-test-invalid-iss', () => (op.overrides.claims = { iss: 'https://evil.example' })],
    ['oidcc-client-test-missing-sub', () => (op.overrides.claims = { sub: undefined })],
    ['oidcc-client-test-invalid-aud', () => (op.overrides.claims = { aud: 'another' })],
    ['oidcc-client-test-missing-aud', () => (op.overrides.claims = { aud: undefined })],
    ['oidcc-client-test-missing-iat', () => (op.overrides.claims = { iat: undefined })],
    ['oidcc-client-test-nonce-invalid', () => (op.overrides.claims = { nonce: 'another' })],
    [
      'oidcc-client-test-idtoken-sig-none',
      () => (op.overrides.transformIdToken = withHeader({ alg: 'none' }, () => '')),
    ],
    ['oidcc-client-test-invalid-sig-es256', () => (op.overrides.transformIdToken = reversed)],
    [
      'oidcc-client-test-invalid-sig-rs256',
      () => {
        op.keys = rs256;
        op.overrides.transformIdToken = reversed;
      },
    ],
    [
      'oidcc-client-test-invalid-sig-hs256',
      () => {
        op.overrides.metadata = { id_token_signing_alg_values_supported: ['ES256', 'HS256'] };
        op.overrides.transformIdToken = withHeader({ alg: 'HS256' }, (text) =>
          createHmac('sha256', 'secret').update(text).digest('base64url'),
        );
      },
    ],
    [
      'oidcc-client-test-kid-absent-multiple-jwks',
      () => {
        op.keys = [...keys, ...others];
        op.overrides.header = { kid: undefined };
      },
    ],
  ])('rejects the ID token (ported from %s)', async (_, override) => {
    await linkIdentity('bob');
    override();
    await expectNoChange(async () => expect(await signIn()).toMatchObject(INVALID_IDENTITY));
  });

  it.each<[string, () => void]>([
    ['oidcc-client-test', () => {}],
    ['oidcc-client-test-idtoken-sig-rs256', () => (op.keys = rs256)],
    ['oidcc-client-test-kid-absent-single-jwks', () => (op.overrides.header = { kid: undefined })],
  ])('accepts the ID token (ported from %s)', async (_, override) => {
    await linkIdentity('bob');
    override();
    expect(issuedPrincipal(await signIn()).id).toBe('bob');
  });

  it('does not call the userinfo endpoint (ported from oidcc-client-test-userinfo-invalid-sub)', async () => {
    await linkIdentity('bob');
    const handler = (_: unknown, response: ServerResponse) =>
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"sub":"carol"}');
    op.overrides.handlers = { '/userinfo': handler };
    expect(issuedPrincipal(await signIn()).id).toBe('bob');
    expect(op.requestCounts['/userinfo']).toBeUndefined();
  });

  it('rejects metadata of another issuer (ported from oidcc-client-test-discovery-issuer-mismatch)', async () => {
    for (const issuer of [other.issuer, `${op.issuer}/x`, undefined, 7]) {
      op.overrides.metadata = { issuer };
      reconfigure('op', {});
      const { response } = await startSignIn();
      expect([issuer, response.status, response.body.code]).toEqual([issuer, 502, 'provider_error']);
    }
  });

  it.each<[string, () => void]>([
    [
      'a signature that anyone can compute, because the key has the RSA exponent 1',
      () => {
        const jwk = WEAK_KEYS['RSA with the exponent 1']!;
        op.keys = [{ ...others[0]!, jwk: { ...jwk, kty: 'RSA', kid: 'weak' } }];
        op.overrides.transformIdToken = withHeader({ alg: 'RS256', kid: 'weak' }, (text) =>
          forgeSignature(jwk, text),
        );
      },
    ],
    ['no exp', () => (op.overrides.claims = { exp: undefined })],
    ['an exp in the past', () => (op.overrides.claims = { exp: seconds() - 60 })],
    ['an nbf in the future', () => (op.overrides.claims = { nbf: seconds() + 60 })],
    ['another azp', () => (op.overrides.claims = { azp: 'another' })],
    ['several audiences, and no azp', () => (op.overrides.claims = { aud: ['atlas', 'another'] })],
    ['an object as audience', () => (op.overrides.claims = { aud: { atlas: true } })],
    ['a critical header', () => (op.overrides.header = { crit: ['b64'], b64: true })],
    ['no signature', () => (op.overrides.transformIdToken = withSignature(''))],
    ['a malformed signature', () => (op.overrides.transformIdToken = withSignature('*'))],
    ['four parts', () => (op.overrides.transformIdToken = (idToken) => `${idToken}.x`)],
    ['malformed JSON', () => (op.overrides.transformIdToken = () => 'e30.e30.x'.replaceAll('e30', 'eyJ'))],
    ['five parts, like an encrypted token', () => (op.overrides.transformIdToken = () => 'a.b.c.d.e')],
    ['no content: it is missing', () => (op.overrides.tokens = { id_token: undefined })],
    ['the type object', () => (op.overrides.tokens = { id_token: { sub: 'x' } })],
    [
      'its own key in the header',
      () =>
        (op.overrides.transformIdToken = withHeader({ alg: 'ES256', jwk: others[0]!.jwk }, () =>
          'x'.repeat(86),
        )),
    ],
  ])('rejects an ID token with %s', async (_, override) => {
    await linkIdentity('bob');
    override();
    await expectNoChange(async () => expect(await signIn()).toMatchObject(INVALID_IDENTITY));
  });
});
