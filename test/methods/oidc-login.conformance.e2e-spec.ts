import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { newKey, type Forge } from './oidc-login.forge.js';
import {
  REFUSED,
  begin,
  change,
  linked,
  op,
  other,
  principalOfSlip,
  signIn,
  start,
  unchanged,
} from './oidc-login.harness.js';

start();

describe('ported from the OpenID conformance suite (relying party, basic)', () => {
  /** Only the header and the claims of a token are as they were. */
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
  let keys: Forge['keys'];
  let rs256: Forge['keys'];
  let others: Forge['keys'];
  beforeAll(async () => {
    keys = op.keys;
    others = [await newKey('other')];
    rs256 = [await newKey('rsa', 'RS256')];
  });
  afterEach(() => {
    op.keys = keys;
  });

  it.each<[string, () => void]>([
    ['oidcc-client-test-invalid-iss', () => (op.lies.claims = { iss: 'https://evil.example' })],
    ['oidcc-client-test-missing-sub', () => (op.lies.claims = { sub: undefined })],
    ['oidcc-client-test-invalid-aud', () => (op.lies.claims = { aud: 'another' })],
    ['oidcc-client-test-missing-aud', () => (op.lies.claims = { aud: undefined })],
    ['oidcc-client-test-missing-iat', () => (op.lies.claims = { iat: undefined })],
    ['oidcc-client-test-nonce-invalid', () => (op.lies.claims = { nonce: 'another' })],
    ['oidcc-client-test-idtoken-sig-none', () => (op.lies.alter = withHeader({ alg: 'none' }, () => ''))],
    ['oidcc-client-test-invalid-sig-es256', () => (op.lies.alter = reversed)],
    [
      'oidcc-client-test-invalid-sig-rs256',
      () => {
        op.keys = rs256;
        op.lies.alter = reversed;
      },
    ],
    [
      'oidcc-client-test-invalid-sig-hs256',
      () => {
        op.lies.metadata = { id_token_signing_alg_values_supported: ['ES256', 'HS256'] };
        op.lies.alter = withHeader({ alg: 'HS256' }, (text) =>
          createHmac('sha256', 'secret').update(text).digest('base64url'),
        );
      },
    ],
    [
      'oidcc-client-test-kid-absent-multiple-jwks',
      () => {
        op.keys = [...keys, ...others];
        op.lies.header = { kid: undefined };
      },
    ],
  ])('ported from %s: nobody is signed in', async (_, lie) => {
    await linked('bob');
    lie();
    await unchanged(async () => expect(await signIn()).toMatchObject(REFUSED));
  });

  it.each<[string, () => void]>([
    ['oidcc-client-test', () => {}],
    ['oidcc-client-test-idtoken-sig-rs256', () => (op.keys = rs256)],
    ['oidcc-client-test-kid-absent-single-jwks', () => (op.lies.header = { kid: undefined })],
  ])('ported from %s: the right person is signed in', async (_, be) => {
    await linked('bob');
    be();
    expect(principalOfSlip(await signIn()).id).toBe('bob');
  });

  it('ported from oidcc-client-test-userinfo-invalid-sub: userinfo is not asked, so it can say what it likes', async () => {
    await linked('bob');
    const instead = (_: unknown, response: ServerResponse) =>
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"sub":"carol"}');
    op.lies.instead = { '/userinfo': instead };
    expect(principalOfSlip(await signIn()).id).toBe('bob');
    expect(op.asked['/userinfo']).toBeUndefined();
  });

  it('ported from oidcc-client-test-discovery-issuer-mismatch: nobody is sent there', async () => {
    for (const issuer of [other.issuer, `${op.issuer}/x`, undefined, 7]) {
      op.lies.metadata = { issuer };
      change('op', {});
      const { answer } = await begin();
      expect([issuer, answer.status, answer.body.code]).toEqual([issuer, 502, 'provider_error']);
    }
  });

  it.each<[string, () => void]>([
    ['no exp', () => (op.lies.claims = { exp: undefined })],
    ['an exp that is over', () => (op.lies.claims = { exp: seconds() - 60 })],
    ['an nbf that lies ahead', () => (op.lies.claims = { nbf: seconds() + 60 })],
    ['another azp', () => (op.lies.claims = { azp: 'another' })],
    ['several audiences, and no azp', () => (op.lies.claims = { aud: ['atlas', 'another'] })],
    ['an audience that is an object', () => (op.lies.claims = { aud: { atlas: true } })],
    ['a critical header', () => (op.lies.header = { crit: ['b64'], b64: true })],
    ['no signature', () => (op.lies.alter = withSignature(''))],
    ['a signature that is no base64', () => (op.lies.alter = withSignature('*'))],
    ['four parts', () => (op.lies.alter = (idToken) => `${idToken}.x`)],
    ['no JSON', () => (op.lies.alter = () => 'e30.e30.x'.replaceAll('e30', 'eyJ'))],
    ['an encrypted token', () => (op.lies.alter = () => 'a.b.c.d.e')],
    ['no ID token at all', () => (op.lies.tokens = { id_token: undefined })],
    ['an ID token that is no text', () => (op.lies.tokens = { id_token: { sub: 'x' } })],
    [
      'the key that it brings itself',
      () => (op.lies.alter = withHeader({ alg: 'ES256', jwk: others[0]!.jwk }, () => 'x'.repeat(86))),
    ],
  ])('besides: an ID token with %s signs nobody in', async (_, lie) => {
    await linked('bob');
    lie();
    await unchanged(async () => expect(await signIn()).toMatchObject(REFUSED));
  });
});
