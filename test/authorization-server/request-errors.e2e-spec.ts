import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { boot, client, type Booted } from '../support/app.js';
import { Browser, signIn } from './browser.js';
import { WEB_CALLBACK, basicOf, oauthAt } from './flows.js';

const sub = (value: string) => JSON.stringify({ id_token: { sub: { value } } });
const UNKNOWN_ACR = JSON.stringify({ id_token: { acr: { essential: true, value: 'urn:unknown' } } });

/** Faults of a request, with the error that the client receives. */
const FAULTS: [string, Record<string, string>, string][] = [
  ['an unknown scope', { scope: 'openid documents:read root' }, 'invalid_scope'],
  ['only unknown scopes', { scope: 'root', nonce: '' }, 'invalid_scope'],
  ['no scope', { scope: '', nonce: '' }, 'invalid_scope'],
  ['only scopes that are ignored', { scope: 'email', nonce: '' }, 'invalid_scope'],
  ['an acr that no sign-in provides', { claims: UNKNOWN_ACR }, 'unmet_authentication_requirements'],
  ['claims that are no JSON', { claims: '{' }, 'invalid_request'],
];

describe('a request that cannot succeed', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  describe.each(FAULTS)('with %s', (_, parameters, error) => {
    it('redirects to the client with the error, without a page', async () => {
      const { to } = await oauth.authorize(parameters);
      expect(to?.searchParams.get('error')).toBe(error);
      expect(to?.searchParams.get('state')).toBe('of the application');
    });

    it('is rejected as a pushed request', async () => {
      const form = Object.fromEntries(oauth.authorization(parameters).searchParams);
      const { status, body } = await oauth.post('/request', form, basicOf('web'));
      expect({ status, error: body.error }).toEqual({ status: 400, error });
    });

    it('is rejected as a device request', async () => {
      const { nonce: _nonce, ...rest } = parameters;
      const form = { client_id: 'device', scope: 'openid documents:read', ...rest };
      const sent = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== ''));
      const { status, body } = await oauth.post('/device/auth', sent);
      expect({ status, error: body.error }).toEqual({ status: 400, error });
    });
  });

  it.each<[string, Record<string, string>, string]>([
    ['an unknown scope', { scope: 'openid root' }, 'invalid_scope'],
    ['a scope that the client may not request', { scope: 'openid documents:write' }, 'invalid_scope'],
    ['an acr that no sign-in provides', { claims: UNKNOWN_ACR }, 'unmet_authentication_requirements'],
    ['claims that name another subject', { claims: sub('alice') }, 'unknown_user_id'],
  ])('is rejected as a backchannel request, with %s', async (_, parameters, error) => {
    const form = { scope: 'openid documents:read', login_hint: 'bob', binding_message: '1', ...parameters };
    const { status, body } = await oauth.post('/backchannel', form, basicOf('ciba'));
    expect({ status, error: body.error }).toEqual({ status: 400, error });
  });

  it('is rejected for a scope that the client may not request', async () => {
    const added = await client(booted.origin, basicOf('alice', DEMO_PASSWORD)).post('/oauth/clients', {
      redirect_uris: [WEB_CALLBACK],
      scope: 'documents:read',
    });
    const { to } = await oauth.authorize({ client_id: added.body.client_id });
    expect(to?.searchParams.get('error')).toBe('invalid_scope');
  });

  it('ignores standard scopes that the server does not support', async () => {
    const { body } = await oauth.redeem(
      await oauth.code({ scope: 'openid email address phone documents:read' }),
    );
    expect(body.scope).toBe('openid documents:read');
  });

  describe('for another subject', () => {
    const hintOf = async (username: string) =>
      (await oauth.redeem(await oauth.code({}, username))).body.id_token as string;
    const requests: [string, () => Promise<Record<string, string>>][] = [
      ['claims.id_token.sub', async () => ({ claims: sub('alice') })],
      [
        'claims.userinfo.sub',
        async () => ({ claims: JSON.stringify({ userinfo: { sub: { value: 'alice' } } }) }),
      ],
      ['id_token_hint', async () => ({ id_token_hint: await hintOf('alice') })],
    ];

    it.each(requests)('receives login_required while another person is signed in: %s', async (_, named) => {
      const { browser } = await signIn(booted, oauth.authorization());
      const result = await browser.open(oauth.authorization(await named()));
      expect(result).toBeInstanceOf(URL);
      expect((result as URL).searchParams.get('error')).toBe('login_required');
    });

    it.each(requests)('receives login_required after another person has signed in: %s', async (_, named) => {
      const browser = new Browser(booted.origin);
      const { callback } = await signIn(booted, oauth.authorization(await named()), 'bob', { browser });
      expect(callback.searchParams.get('error')).toBe('login_required');
    });

    it.each(requests)('succeeds after the named person has signed in: %s', async (_, named) => {
      const { callback } = await signIn(booted, oauth.authorization(await named()), 'alice');
      expect(callback.searchParams.get('code')).toEqual(expect.any(String));
    });
  });
});
