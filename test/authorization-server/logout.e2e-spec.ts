import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
  type JSONWebKeySet,
} from 'jose';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { boot, type Booted } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { signIn, type Browser, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';

const HOME = 'http://localhost:4000/';

describe('RP-initiated logout', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  const end = (more: Record<string, string>) =>
    `${booted.origin}/oidc/session/end?${new URLSearchParams(more).toString()}`;
  const signedIn = async (more: Record<string, string> = {}, username = 'bob') => {
    const { browser, callback } = await signIn(booted, oauth.authorization(more), username);
    const { body } = await oauth.redeem(callback.searchParams.get('code') ?? '', {
      client_id: more['client_id'] ?? 'web',
    });
    return { browser, tokens: body as Record<'id_token' | 'access_token' | 'refresh_token', string> };
  };
  const lastEnded = () =>
    booted.db.manager.findOne(AuditEvent, {
      where: { event: 'authn_token_revoked' },
      order: { seq: 'DESC' },
    });
  const isSignedIn = async (browser: Browser) => {
    const there = (await browser.open(oauth.authorization({ prompt: 'none', scope: 'openid' }))) as URL;
    return there.searchParams.get('error') !== 'login_required';
  };

  it('asks for confirmation, ends the session and its tokens, and redirects to the application', async () => {
    const { browser, tokens } = await signedIn();
    expect(await oauth.introspect(tokens.access_token)).toMatchObject({ active: true });
    const page = await browser.page(
      end({ id_token_hint: tokens.id_token, post_logout_redirect_uri: HOME, state: 'mine' }),
    );
    expect(page.text).toContain('<strong>Demo web application</strong> asks you to sign out.');
    expect(await isSignedIn(browser)).toBe(true);
    const again = await browser.page(page.url);
    const there = (await browser.submit(again, {}, 'Sign out')) as URL;
    expect(there.href).toBe(`${HOME}?state=mine`);
    expect(await isSignedIn(browser)).toBe(false);
    expect(await oauth.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await lastEnded()).toMatchObject({ userId: 'bob', method: 'oauth', target: 'user:bob' });
  });

  it('keeps tokens with offline_access', async () => {
    const { browser, tokens } = await signedIn({
      scope: 'openid offline_access documents:read',
      prompt: 'consent',
    });
    const page = await browser.page(end({ id_token_hint: tokens.id_token }));
    const done = (await browser.submit(page, {}, 'Sign out')) as Page;
    expect(done.text).toContain('You are signed out');
    expect((await oauth.refresh(tokens.refresh_token)).status).toBe(200);
  });

  it('can end the session of one application only', async () => {
    const { browser, tokens } = await signedIn();
    const page = await browser.page(end({ id_token_hint: tokens.id_token }));
    const done = (await browser.submit(page, {}, 'Leave only this application')) as Page;
    expect(done.text).toContain('You have left the application');
    expect(await oauth.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await isSignedIn(browser)).toBe(true);
    expect(await lastEnded()).toMatchObject({ userId: 'bob', target: 'oauth-client:web' });
  });

  it('works without a session', async () => {
    const { browser } = await signedIn();
    browser.cookies = [];
    const page = await browser.page(end({}));
    expect(((await browser.submit(page)) as Page).text).toContain('You are signed out');
  });

  describe('with back-channel logout', () => {
    let receiver: Server;
    let received: string[] = [];
    let status = 200;
    let home: string;
    beforeAll(async () => {
      const port = await freePort();
      home = `http://localhost:${port}`;
      receiver = createServer(async (request, response) => {
        let body = '';
        for await (const chunk of request) body += String(chunk);
        received.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`);
        response.writeHead(status, status === 302 ? { Location: `${home}/elsewhere` } : {}).end();
      }).listen(port, '127.0.0.1');
      await once(receiver, 'listening');
      await booted.app.get(ClientsService, { strict: false }).upsert('receiver', {
        token_endpoint_auth_method: 'none',
        redirect_uris: [`${home}/callback`],
        grant_types: ['authorization_code'],
        backchannel_logout_uri: `${home}/logout`,
        backchannel_logout_session_required: true,
      });
    });
    beforeEach(() => void ([received, status] = [[], 200]));
    afterAll(() => void receiver.close());

    const signOut = async () => {
      const { browser, callback } = await signIn(
        booted,
        oauth.authorization({ client_id: 'receiver', redirect_uri: `${home}/callback`, scope: 'openid' }),
      );
      const { body } = await oauth.redeem(
        callback.searchParams.get('code') ?? '',
        { client_id: 'receiver', redirect_uri: `${home}/callback` },
        {},
      );
      const page = await browser.page(end({ id_token_hint: (body as { id_token: string }).id_token }));
      const done = (await browser.submit(page, {}, 'Sign out')) as Page;
      expect(done.text).toContain('You are signed out');
      return claimsOf((body as { id_token: string }).id_token);
    };

    it('sends a logout token with sub and sid', async () => {
      const { sid } = await signOut();
      expect(received).toHaveLength(1);
      const [, token = ''] =
        /^POST \/logout application\/x-www-form-urlencoded\S* logout_token=(.*)$/.exec(received[0]!) ?? [];
      const keys = (await (await fetch(`${oauth.issuer}/jwks`)).json()) as JSONWebKeySet;
      const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
        issuer: oauth.issuer,
        audience: 'receiver',
        typ: 'logout+jwt',
        requiredClaims: ['iat', 'exp', 'jti'],
      });
      expect(protectedHeader.alg).toBe('ES256');
      expect(payload).toMatchObject({
        sub: 'bob',
        sid,
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      });
      expect(payload).not.toHaveProperty('nonce');
      expect(payload.exp! - payload.iat!).toBeLessThanOrEqual(120);
    });

    it('signs out even if an application fails or redirects', async () => {
      status = 500;
      await signOut();
      status = 302;
      await signOut();
      expect(received.map((each) => each.split(' ')[1])).toEqual(['/logout', '/logout']);
    });
  });

  describe('attacks', () => {
    let tokens: Record<'id_token', string>;
    let browser: Browser;
    beforeEach(async () => ({ browser, tokens } = await signedIn()));
    afterEach(async () => expect(await isSignedIn(browser)).toBe(true));

    const rejection = async (more: Record<string, string>) => {
      const page = await browser.page(end(more));
      return [page.status, /<p class="code">(.*)<\/p>/.exec(page.text)?.[1]];
    };

    it('does not redirect to an unregistered URI', async () => {
      for (const post_logout_redirect_uri of [
        'https://evil.example/',
        `${HOME}?next=https://evil.example`,
        `${HOME}#x`,
        `${HOME}..`,
        'http://localhost:4000',
        'javascript:alert(1)',
      ])
        for (const who of [{ id_token_hint: tokens.id_token }, { client_id: 'web' }] as Record<
          string,
          string
        >[])
          expect(await rejection({ ...who, post_logout_redirect_uri })).toEqual([400, 'invalid_request']);
      const page = await browser.page(end({ post_logout_redirect_uri: 'https://evil.example/' }));
      expect(page.headers.get('content-security-policy')).toContain("form-action 'self';");
      expect(page.text).not.toContain('evil.example');
    });

    it('rejects a forged id_token_hint, and one of another application', async () => {
      const { payload } = { payload: claimsOf(tokens.id_token) };
      const { privateKey, publicKey } = await generateKeyPair('ES256');
      const forged = await new SignJWT(payload)
        .setProtectedHeader({ alg: 'ES256', jwk: await exportJWK(publicKey) })
        .sign(privateKey);
      const unsigned = new UnsecuredJWT(payload).encode();
      const [head, , signature] = tokens.id_token.split('.');
      const altered = `${head}.${Buffer.from(JSON.stringify({ ...payload, sub: 'alice' })).toString('base64url')}.${signature}`;
      for (const id_token_hint of [forged, unsigned, altered, 'nonsense', `${tokens.id_token}x`])
        expect(await rejection({ id_token_hint, post_logout_redirect_uri: HOME })).toEqual([
          400,
          'invalid_request',
        ]);
      expect(await rejection({ id_token_hint: tokens.id_token, client_id: 'spa' })).toEqual([
        400,
        'invalid_request',
      ]);
    });

    it('rejects a confirmation without the form token', async () => {
      const confirmed = await browser.post(
        '/oidc/session/end/confirm',
        new URLSearchParams({ logout: 'yes', xsrf: 'guessed' }),
      );
      expect(confirmed.status).toBe(400);
    });
  });
});
