import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { boot, type Booted } from '../app.js';
import { Browser, signIn, type Page } from './oauth.browser.js';

const VERIFIER = 'v'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

const basic = (id: string) =>
  `Basic ${Buffer.from(`${id}:${id}-demo-secret-0123456789abcdef`).toString('base64')}`;

describe('the pages of the authorization server', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ known: true })));
  afterAll(() => booted.close());

  /** The address of an authorization request of the demo's `web`. */
  const request = (more: Record<string, string> = {}) => {
    const url = new URL(`${booted.origin}/oidc/auth`);
    url.search = new URLSearchParams({
      client_id: 'web',
      response_type: 'code',
      redirect_uri: 'http://localhost:4000/callback',
      scope: 'openid documents:read documents:write',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      state: 'of the application',
      ...more,
    }).toString();
    return url;
  };

  const redeem = async (callback: URL) => {
    const response = await fetch(`${booted.origin}/oidc/token`, {
      method: 'POST',
      headers: { Authorization: basic('web') },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code') ?? '',
        redirect_uri: 'http://localhost:4000/callback',
        code_verifier: VERIFIER,
      }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };

  const claimsOf = (token = '') =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

  it('sign a person in, ask for consent, and send the code to the application', async () => {
    const { callback } = await signIn(booted, request());
    expect(callback.origin + callback.pathname).toBe('http://localhost:4000/callback');
    expect(callback.searchParams.get('state')).toBe('of the application');
    expect(callback.searchParams.get('iss')).toBe(`${booted.origin}/oidc`);
    const { status, body } = await redeem(callback);
    expect({ status, scope: body['scope'] }).toEqual({
      status: 200,
      scope: 'documents:read documents:write',
    });
    expect(claimsOf(body['id_token'])).toMatchObject({ sub: 'bob', aud: 'web' });
  });

  it('send the application a refusal where the person denies', async () => {
    const { callback } = await signIn(booted, request(), 'bob', { press: 'Deny' });
    expect(callback.searchParams.get('error')).toBe('access_denied');
    expect(callback.searchParams.has('code')).toBe(false);
  });

  it('say nothing of why a sign-in failed, and keep the name', async () => {
    const browser = new Browser(booted.origin);
    const page = await browser.page(request());
    for (const username of ['bob', 'nobody']) {
      const again = (await browser.submit(page, { username, password: 'wrong' })) as Page;
      expect(again.status).toBe(422);
      expect(again.text).toContain('The username or the password is wrong.');
      expect(again.text).toContain(`value="${username}"`);
    }
  });
});
