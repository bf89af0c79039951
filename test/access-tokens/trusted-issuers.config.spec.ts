import { describe, expect, it } from '@jest/globals';
import { readTrustedIssuers } from '../../src/access-tokens/trusted-issuers.config.js';
import { Settings } from '../../src/config/settings.js';
import { RANDOM_SECRET } from '../support/app.js';

const github = {
  issuer: 'https://token.actions.githubusercontent.com',
  audience: 'https://api.example.com',
  tenant: 'acme',
  accounts: { claim: 'sub', ids: { 'repo:acme/site:ref:refs/heads/main': 'acme-machine' } },
  scopes: ['documents:read'],
  algorithms: ['RS256'],
  typ: ['JWT'],
};
const introspection = { endpoint: 'https://as.example.com/introspect', client_id: 'a', client_secret: 'b' };
const PRODUCTION = {
  NODE_ENV: 'production',
  APP_SECRET: RANDOM_SECRET,
  PUBLIC_URL: 'https://api.example.com',
};
const read = (issuers: unknown, env: Record<string, string> = {}) =>
  readTrustedIssuers(
    Settings.from({ ...env, OAUTH_ISSUERS: typeof issuers === 'string' ? issuers : JSON.stringify(issuers) }),
  );

describe('OAUTH_ISSUERS', () => {
  it('is optional, and a list of issuers', () => {
    expect(readTrustedIssuers(Settings.from({}))).toEqual([]);
    expect(read([github])).toEqual([github]);
    expect(read([{ ...github, typ: undefined }])[0]?.typ).toEqual(['at+jwt']);
  });

  it.each<[unknown, RegExp]>([
    ['{', /OAUTH_ISSUERS must be JSON/],
    [{}, /OAUTH_ISSUERS .*array/],
    [[{ ...github, issuer: 'github' }], /OAUTH_ISSUERS\.0\.issuer must be a URL/],
    [[{ ...github, audience: undefined }], /OAUTH_ISSUERS\.0\.audience/],
    [[{ ...github, algorithms: ['HS256'] }], /OAUTH_ISSUERS\.0\.algorithms\.0/],
    [[{ ...github, algorithms: ['none'] }], /OAUTH_ISSUERS\.0\.algorithms\.0/],
    [[{ ...github, algorithms: [] }], /OAUTH_ISSUERS\.0\.algorithms/],
    [[{ ...github, scopes: ['admin'] }], /OAUTH_ISSUERS\.0\.scopes\.0/],
    [[{ ...github, jwks_url: 'https://a.example' }], /OAUTH_ISSUERS\.0 .*jwks_url/],
    [[{ ...github, jwks_uri: 'file:///etc/keys' }], /OAUTH_ISSUERS\.0\.jwks_uri must be a URL/],
    [[github, github], /OAUTH_ISSUERS must list each issuer once/],
    [[{ ...github, issuer: 'http://localhost:3000/oidc' }], /not this server/],
    [
      [github, 'https://b.example'].map((each) => ({
        ...github,
        ...(typeof each === 'string' && { issuer: each }),
        introspection,
      })),
      /introspection for one issuer only/,
    ],
  ])('rejects an invalid list with a message: %j', (issuers, sentence) => {
    expect(() => read(issuers)).toThrow(sentence);
  });

  it('requires https URLs in production', () => {
    expect(read([github], PRODUCTION)).toHaveLength(1);
    const plain = 'http://as.example.com/';
    for (const fault of [
      { issuer: plain },
      { jwks_uri: plain },
      { introspection: { ...introspection, endpoint: plain } },
    ]) {
      expect(read([{ ...github, ...fault }])).toHaveLength(1);
      expect(() => read([{ ...github, ...fault }], PRODUCTION)).toThrow(
        'must be a URL that begins with https:',
      );
    }
  });
});
