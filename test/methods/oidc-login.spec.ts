import { describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { InvalidSettings, Settings } from '../../src/config/settings.js';
import { readOidcProviders } from '../../src/methods/oidc-login/oidc-login.config.js';
import { dateOfAuthTime, parseAmr, newAuthorization } from '../../src/methods/oidc-login/oidc-login.js';
import { RANDOM_SECRET } from '../support/app.js';

const GOOGLE = {
  id: 'google',
  issuer: 'https://accounts.google.com',
  clientId: 'atlas.apps.example',
  clientSecret: 'a-secret',
  tenant: 'acme',
};
const PRODUCTION = {
  NODE_ENV: 'production',
  APP_SECRET: RANDOM_SECRET,
  PUBLIC_URL: 'https://api.atlas.test',
};

const read = (providers: unknown, env: Record<string, string> = {}) =>
  readOidcProviders(
    Settings.from({
      NODE_ENV: 'test',
      OIDC_PROVIDERS: typeof providers === 'string' ? providers : JSON.stringify(providers),
      ...env,
    }),
  );

function faultsOf(providers: unknown, env?: Record<string, string>): readonly string[] {
  try {
    read(providers, env);
  } catch (error) {
    if (error instanceof InvalidSettings) return error.errors;
    throw error;
  }
  return [];
}

describe('the configuration of providers', () => {
  it('is empty by default', () => {
    expect(readOidcProviders(Settings.from({ NODE_ENV: 'test' }))).toEqual([]);
  });

  it('applies defaults', () => {
    expect(read([GOOGLE])).toEqual([
      {
        ...GOOGLE,
        name: 'google',
        clientAuth: 'client_secret_basic',
        scopes: ['openid'],
        claims: {},
        trustAmr: false,
      },
    ]);
  });

  it('reads a secret from a separate variable', () => {
    const { clientSecret: _, ...rest } = GOOGLE;
    const [provider] = read([{ ...rest, id: 'my-google' }], { OIDC_SECRET_MY_GOOGLE: 'from there' });
    expect(provider!.clientSecret).toBe('from there');
  });

  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const privateJwk = { ...jwk.privateKey.export({ format: 'jwk' }), alg: 'ES256' };
  const publicJwk = { ...jwk.publicKey.export({ format: 'jwk' }), alg: 'ES256' };
  const ENTRA = { ...GOOGLE, id: 'entra', issuer: 'https://login.microsoftonline.com/common/v2.0' };

  it('accepts a private key as secret, and an Entra organisation by its id', () => {
    const withKey = { ...GOOGLE, clientAuth: 'private_key_jwt', clientSecret: JSON.stringify(privateJwk) };
    expect(faultsOf([withKey, { ...ENTRA, claims: { tid: 'ours' } }])).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['invalid JSON', '[', 'OIDC_PROVIDERS must be JSON.'],
    ['no JSON array', {}, 'OIDC_PROVIDERS must be a list.'],
    ['no id', [{ ...GOOGLE, id: undefined }], 'OIDC_PROVIDERS.0.id must be given.'],
    [
      'a malformed id',
      [{ ...GOOGLE, id: '../x' }],
      'OIDC_PROVIDERS.0.id must have 1 to 24 lower-case letters, digits and hyphens, and begin with a letter.',
    ],
    ['no issuer', [{ ...GOOGLE, issuer: undefined }], 'OIDC_PROVIDERS.0.issuer must be the issuer URL.'],
    [
      'an issuer with a query',
      [{ ...GOOGLE, issuer: 'https://x.example/?a=b' }],
      'OIDC_PROVIDERS.0.issuer must be a URL without query and fragment.',
    ],
    [
      'an issuer with a password',
      [{ ...GOOGLE, issuer: 'https://a:b@x.example' }],
      'OIDC_PROVIDERS.0.issuer must be a URL without query and fragment.',
    ],
    [
      'a file URL as issuer',
      [{ ...GOOGLE, issuer: 'file:///etc/passwd' }],
      'OIDC_PROVIDERS.0.issuer must be a URL without query and fragment.',
    ],
    ['no openid', [{ ...GOOGLE, scopes: ['email'] }], 'OIDC_PROVIDERS.0.scopes must contain openid.'],
    [
      'an unknown role',
      [{ ...GOOGLE, create: { roles: ['root'] } }],
      'OIDC_PROVIDERS.0.create.roles.0 must be one of admin, editor, viewer, auditor.',
    ],
    [
      'no secret',
      [{ ...GOOGLE, clientSecret: undefined }],
      'The provider google of OIDC_PROVIDERS needs a secret, in OIDC_SECRET_GOOGLE or as clientSecret.',
    ],
    [
      'a public key',
      [{ ...GOOGLE, clientAuth: 'private_key_jwt', clientSecret: JSON.stringify(publicJwk) }],
      'The provider google of OIDC_PROVIDERS needs a private key: a JWK in JSON with alg.',
    ],
    [
      'a secret instead of a key',
      [{ ...GOOGLE, clientAuth: 'private_key_jwt' }],
      'The provider google of OIDC_PROVIDERS needs a private key: a JWK in JSON with alg.',
    ],
    [
      'a duplicate id',
      [GOOGLE, GOOGLE],
      'The provider google of OIDC_PROVIDERS has the same id as another provider.',
    ],
    [
      'the issuer of all Entra organisations',
      [ENTRA],
      'The provider entra of OIDC_PROVIDERS accepts every organisation. Set claims.tid, or use the issuer of one organisation.',
    ],
  ])('rejects %s', (_, providers, sentence) => {
    expect(faultsOf(providers)).toEqual([sentence]);
  });

  it('rejects unknown fields, which could be misspelt', () => {
    expect(faultsOf([{ ...GOOGLE, claim: { hd: 'acme.test' } }])[0]).toMatch(/^OIDC_PROVIDERS\.0 .*"claim"/);
  });

  it('rejects http issuers in production', () => {
    const local = [{ ...GOOGLE, issuer: 'http://localhost:4444' }];
    expect(faultsOf(local)).toEqual([]);
    expect(faultsOf(local, PRODUCTION)).toEqual([
      'The provider google of OIDC_PROVIDERS must have an https issuer in production.',
    ]);
    expect(faultsOf([GOOGLE], PRODUCTION)).toEqual([]);
  });
});

describe('a pending authorization', () => {
  it('contains three new random values of 256 bits for each sign-in', () => {
    const all = Array.from({ length: 100 }, () =>
      newAuthorization({ as: 'test-issuer', purpose: { kind: 'sign-in' } }),
    );
    const texts = all.flatMap(({ state, nonce, verifier }) => [state, nonce, verifier]);
    expect(new Set(texts).size).toBe(300);
    for (const text of texts) expect(text).toMatch(/^[\w-]{43}$/);
  });
});

describe('the claims about the sign-in', () => {
  it('auth_time is at most five seconds in the future, and long ago if it is absent', () => {
    const now = 1_800_000_000_000;
    expect(dateOfAuthTime(undefined, now)).toEqual(new Date(0));
    expect(dateOfAuthTime(1_799_999_000, now)).toEqual(new Date(1_799_999_000_000));
    expect(dateOfAuthTime(1_800_000_005, now)).toEqual(new Date(now));
    for (const invalid of [1_800_000_006, 1e300, Infinity, NaN, -1])
      expect(dateOfAuthTime(invalid, now)).toBeUndefined();
  });

  it('amr is a list of short values, or ignored', () => {
    expect(parseAmr(['pwd', 'otp'])).toEqual(['pwd', 'otp']);
    for (const amr of [
      undefined,
      null,
      'otp',
      { 0: 'otp' },
      Array(11).fill('otp'),
      [['otp']],
      ['x'.repeat(41)],
    ])
      expect(parseAmr(amr)).toEqual([]);
  });
});
