import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { User } from '../../src/users/user.entity.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { boot, client, type TestResponse, type Booted } from '../support/app.js';
import { issueAccessToken } from '../support/access-tokens.js';
import { CHALLENGE, VERIFIER, WEB_CALLBACK, basicOf, formOf, oauthAt } from './flows.js';

const EVERYTHING = 'documents:read documents:write';

describe('the authorization server', () => {
  describe('attacks', () => {
    let booted: Booted;
    let oauth: ReturnType<typeof oauthAt>;
    beforeAll(async () => {
      booted = await boot({ publicUrlIsOrigin: true });
      oauth = oauthAt(booted.origin);
    });
    afterAll(() => booted.close());

    const expectError = (response: TestResponse, error: string, status = 400) =>
      expect({ status: response.status, error: response.body.error }).toEqual({ status, error });
    /** Expects a redirect to the client with an error and without a code. */
    const expectErrorRedirect = async (more: Record<string, string | string[]>, error: string) => {
      const { to } = await oauth.authorize(more);
      expect(to?.href.startsWith(WEB_CALLBACK)).toBe(true);
      const said = to?.hash ? new URLSearchParams(to.hash.slice(1)) : to?.searchParams;
      expect(said?.get('error')).toBe(error);
      expect(said?.get('iss')).toBe(oauth.issuer);
      expect(said?.has('code')).toBe(false);
    };
    const machine = (more: Record<string, string | string[]> = {}, headers = basicOf('machine')) =>
      oauth.post('/token', { grant_type: 'client_credentials', ...more }, headers);

    describe('redirect URI', () => {
      it.each([
        ['another path', `${WEB_CALLBACK}/more`],
        ['a path with dot segments', 'http://localhost:4000/callback/../evil'],
        ['an additional query', `${WEB_CALLBACK}?next=evil`],
        ['a fragment', `${WEB_CALLBACK}#evil`],
        ['another host', 'http://evil.example/callback'],
        ['the host as user info', 'http://localhost:4000@evil.example/callback'],
        ['another scheme', 'https://localhost:4000/callback'],
        ['another spelling of the host', 'http://LOCALHOST:4000/callback'],
        ['another port, for a web client', 'http://localhost:4001/callback'],
        ['a percent-encoded character', 'http://localhost:4000/%63allback'],
        ['none', ''],
      ])('rejects a redirect URI with an error page and no redirect: %s', async (_, redirect_uri) => {
        const { status, to } = await oauth.authorize({ redirect_uri });
        expect({ status, to }).toEqual({ status: 400, to: undefined });
      });

      it('accepts any loopback port for a native client, and no other difference', async () => {
        const native = { client_id: 'native', scope: EVERYTHING, nonce: '' };
        const good = await oauth.authorize({ ...native, redirect_uri: 'http://127.0.0.1:49152/callback' });
        expect(good.to?.pathname).toMatch(/^\/interaction\//);
        for (const redirect_uri of [
          'http://127.0.0.1:49152/other',
          'http://127.0.0.2:49152/callback',
          'http://localhost:49152/callback',
          'http://127.0.0.1.evil.example:80/callback',
          'https://127.0.0.1:49152/callback',
        ])
          expect(await oauth.authorize({ ...native, redirect_uri })).toMatchObject({
            status: 400,
            to: undefined,
          });
      });

      it('rejects a request without redirect URI from a client with two', async () => {
        const alice = client(booted.origin, basicOf('alice', 'correct-horse-battery-staple'));
        const redirect_uris = ['https://two.example/a', 'https://two.example/b'];
        const { body } = await alice.post('/oauth/clients', { redirect_uris });
        const two = await oauth.authorize({ client_id: body.client_id, redirect_uri: '' });
        expect(two).toMatchObject({ status: 400, to: undefined });
      });

      it('does not redirect for an unknown client', async () => {
        expect(await oauth.authorize({ client_id: 'nobody' })).toMatchObject({ status: 400, to: undefined });
      });

      it('redeems a code only with its redirect URI', async () => {
        const code = await oauth.code();
        expectError(await oauth.redeem(code, { redirect_uri: `${WEB_CALLBACK}/` }), 'invalid_grant');
        expectError(await oauth.redeem(code, { redirect_uri: '' }), 'invalid_request');
        expect((await oauth.redeem(code)).status).toBe(200);
      });

      it('contains iss in every response, including errors', async () => {
        await expectErrorRedirect({ response_type: 'token' }, 'unsupported_response_type');
      });
    });

    describe('request parameters', () => {
      it.each(['token', 'id_token', 'id_token token', 'code id_token', 'code token', 'none'])(
        'rejects response_type %s',
        (response_type) => expectErrorRedirect({ response_type }, 'unsupported_response_type'),
      );

      it.each(['web_message', 'jwt', 'query.jwt', 'cookie'])('rejects response_mode %s', async (mode) => {
        await expectErrorRedirect({ response_mode: mode }, 'unsupported_response_mode');
      });

      it('requires PKCE with S256', async () => {
        await expectErrorRedirect({ code_challenge_method: 'plain' }, 'invalid_request');
        await expectErrorRedirect({ code_challenge_method: '' }, 'invalid_request');
        await expectErrorRedirect({ code_challenge: '', code_challenge_method: '' }, 'invalid_request');
        await expectErrorRedirect({ code_challenge: 'short' }, 'invalid_request');
        for (const client_id of ['spa', 'native'])
          expect(
            (
              await oauth.authorize({
                client_id,
                redirect_uri:
                  client_id === 'spa' ? 'http://localhost:5173/callback' : 'http://127.0.0.1:1/callback',
                code_challenge: '',
                code_challenge_method: '',
              })
            ).to?.searchParams.get('error'),
          ).toBe('invalid_request');
      });

      it('does not grant scopes that the client may not have', async () => {
        for (const scope of ['documents:read admin', 'documents:write documents:read documents:read root']) {
          const { body } = await machine({ scope });
          expect((body.scope as string).split(' ').filter((each) => !EVERYTHING.includes(each))).toEqual([]);
        }
        expect((await machine({ scope: 'documents:read\tdocuments:write' })).body.error).toBe(
          'invalid_scope',
        );
        await expectErrorRedirect({ scope: 'openid "admin"' }, 'invalid_scope');
      });

      it('accepts scopes in any order (ported from ensure-other-scope-order-succeeds)', async () => {
        const code = await oauth.code({ scope: 'documents:write documents:read openid' });
        const { status, body } = await oauth.redeem(code);
        expect({ status, scope: (body.scope as string).split(' ').sort() }).toEqual({
          status: 200,
          scope: [...EVERYTHING.split(' '), 'openid'],
        });
      });

      it('rejects an unknown resource, and two resources', async () => {
        for (const resource of [
          'https://evil.example',
          `${booted.origin}/`,
          'not a URI',
          `${booted.origin}#x`,
        ]) {
          expectError(await machine({ resource }), 'invalid_target');
          await expectErrorRedirect({ resource }, 'invalid_target');
        }
        expectError(
          await machine({ resource: [booted.origin, `${booted.origin}/archive`] }),
          'invalid_target',
        );
      });

      it('rejects a refresh for a resource that was not granted', async () => {
        const { refresh_token } = await oauth.tokens();
        expectError(
          await oauth.refresh(refresh_token, { resource: `${booted.origin}/archive` }),
          'invalid_target',
        );
      });

      it('rejects duplicate parameters', async () => {
        for (const twice of [
          'client_id',
          'scope',
          'state',
          'redirect_uri',
          'response_type',
          'code_challenge',
        ]) {
          const value = oauth.authorization().searchParams.get(twice)!;
          const { to, status } = await oauth.authorize({ [twice]: [value, value] });
          expect(to?.searchParams.get('error') ?? status).toBe(to ? 'invalid_request' : 400);
          expect(to?.searchParams.has('code') ?? false).toBe(false);
        }
        const basic = basicOf('machine');
        expectError(await machine({ scope: ['documents:read', 'documents:read'] }), 'invalid_request');
        expectError(
          await oauth.post('/token', 'grant_type=client_credentials&grant_type=client_credentials', basic),
          'invalid_request',
        );
        expectError(await machine({ client_id: ['machine', 'web'] }), 'invalid_request');
        expectError(
          await oauth.post('/token/introspection', { token: ['a', 'b'] }, basicOf('resource-server')),
          'invalid_request',
        );
      });
    });

    describe('authorization codes', () => {
      it('rejects a missing, wrong or malformed code verifier', async () => {
        const code = await oauth.code();
        for (const code_verifier of ['', 'w'.repeat(43), CHALLENGE])
          expectError(await oauth.redeem(code, { code_verifier }), 'invalid_grant');
        for (const code_verifier of ['v'.repeat(42), 'v'.repeat(129), `${'v'.repeat(42)}!`])
          expect([400]).toContain((await oauth.redeem(code, { code_verifier })).status);
        expect((await oauth.redeem(code)).status).toBe(200);
      });

      it('issues no code without a code challenge', async () => {
        const { to } = await oauth.authorize({ code_challenge: '', code_challenge_method: '' });
        expect(to?.searchParams.get('error')).toBe('invalid_request');
        expectError(await oauth.redeem('made-up', { code_verifier: VERIFIER }), 'invalid_grant');
      });

      it('revokes all tokens of a code that is used again (ported from attempt-reuse-authorization-code-after-one-second)', async () => {
        const code = await oauth.code({ scope: `openid offline_access ${EVERYTHING}`, prompt: 'consent' });
        const { access_token, refresh_token } = (await oauth.redeem(code)).body;
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true });
        expectError(await oauth.redeem(code), 'invalid_grant');
        expect(await oauth.introspect(access_token)).toEqual({ active: false });
        expectError(await oauth.refresh(refresh_token), 'invalid_grant');
        expectError(await oauth.redeem(code), 'invalid_grant');
      });

      it('rejects a code after one minute (ported from fails-with-expired-auth-code)', async () => {
        const code = await oauth.code();
        const row = { kind: 'AuthorizationCode' };
        const [newest] = await booted.db.manager.find(OauthRecord, {
          where: row,
          order: { expiresAt: 'DESC' },
          take: 1,
        });
        expect(newest!.expiresAt!.getTime() - Date.now()).toBeLessThanOrEqual(60_000);
        await booted.db.manager.update(OauthRecord, { id: newest!.id }, { expiresAt: new Date() });
        expectError(await oauth.redeem(code), 'invalid_grant');
      });

      it('rejects a code from another client', async () => {
        const code = await oauth.code();
        expectError(await oauth.redeem(code, { client_id: 'spa' }, {}), 'invalid_grant');
        expect((await oauth.redeem(code)).status).toBe(200);
      });
    });

    describe('refresh tokens', () => {
      it('revokes the token family if a refresh token is used again, and records it', async () => {
        const first = await oauth.tokens();
        const second = (await oauth.refresh(first.refresh_token)).body;
        expect(await oauth.introspect(second.access_token)).toMatchObject({ active: true, sub: 'bob' });
        expectError(await oauth.refresh(first.refresh_token), 'invalid_grant');
        expectError(await oauth.refresh(second.refresh_token), 'invalid_grant');
        for (const { access_token } of [first, second])
          expect(await oauth.introspect(access_token)).toEqual({ active: false });
        await booted.app.get(AuditLog).flush();
        const events = await booted.db.manager.findBy(AuditEvent, { event: 'authn_token_reuse' });
        expect(events.map(({ details }) => details)).toContainEqual({
          client: 'web',
          reason: 'refresh token already used',
        });
      });

      it('treats a retry with a used refresh token as reuse', async () => {
        const { refresh_token } = await oauth.tokens();
        await oauth.refresh(refresh_token);
        expectError(await oauth.refresh(refresh_token), 'invalid_grant');
      });

      it('rejects scopes that were not granted, without using up the refresh token', async () => {
        const { refresh_token } = await oauth.tokens();
        expectError(
          await oauth.refresh(refresh_token, { scope: `${EVERYTHING} audit:read` }),
          'invalid_scope',
        );
        expect((await oauth.refresh(refresh_token)).status).toBe(200);
      });

      it('issues fewer scopes on request, and all granted scopes the next time', async () => {
        const { refresh_token } = await oauth.tokens();
        const narrow = (await oauth.refresh(refresh_token, { scope: 'documents:read' })).body;
        expect(narrow.scope).toBe('documents:read');
        const whole = (await oauth.refresh(narrow.refresh_token)).body;
        expect(whole.scope.split(' ').sort()).toEqual([...EVERYTHING.split(' '), 'offline_access', 'openid']);
      });

      it('rejects a refresh after revocation and after all sign-ins were ended', async () => {
        const ended = await oauth.tokens();
        await oauth.post('/token/revocation', { token: ended.refresh_token }, basicOf('web'));
        expectError(await oauth.refresh(ended.refresh_token), 'invalid_grant');
        expect(await oauth.introspect(ended.access_token)).toEqual({ active: false });

        const everywhere = await oauth.tokens();
        await booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));
        expectError(await oauth.refresh(everywhere.refresh_token), 'invalid_grant');
        expect(await oauth.introspect(everywhere.access_token)).toEqual({ active: false });
      });

      it("ends a machine's tokens with its account's sign-ins, and issues none to a disabled account", async () => {
        const { access_token } = (await machine()).body;
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true });
        await booted.db.transaction((manager) => endAllSignIns(manager, 'acme-machine'));
        expect(await oauth.introspect(access_token)).toEqual({ active: false });
        const next = (await machine()).body.access_token as string;
        const disable = (disabledAt: Date | null) =>
          booted.db.manager.update(User, { id: 'acme-machine' }, { disabledAt });
        await disable(new Date());
        expect(await oauth.introspect(next)).toEqual({ active: false });
        expectError(await machine(), 'unauthorized_client');
        await disable(null);
        expect((await machine()).status).toBe(200);
      });

      it('rejects a refresh token from another client, and keeps it valid', async () => {
        const { refresh_token } = await oauth.tokens();
        expectError(await oauth.refresh(refresh_token, { client_id: 'spa' }, {}), 'invalid_grant');
        expect((await oauth.refresh(refresh_token)).status).toBe(200);
      });
    });

    describe('client authentication', () => {
      const secret = basicOf('machine');

      it('does not support the password and implicit grants', async () => {
        for (const grant_type of ['password', 'implicit', 'none', 'urn:example:unknown'])
          expectError(
            await oauth.post('/token', { grant_type, username: 'bob', password: 'x' }, secret),
            'unsupported_grant_type',
          );
      });

      it('rejects an unknown grant type first', async () => {
        expectError(
          await oauth.post('/token', { grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer' }, secret),
          'unsupported_grant_type',
        );
      });

      it('rejects a grant for which the client is not registered', async () => {
        expectError(
          await oauth.post('/token', { grant_type: 'client_credentials' }, basicOf('web')),
          'unauthorized_client',
        );
        expectError(await oauth.redeem('code', {}, basicOf('machine')), 'unauthorized_client');
      });

      it.each<[string, Record<string, string>, Record<string, string>, string, number]>([
        [
          'Basic and a secret in the form',
          { client_id: 'machine', client_secret: 'machine-demo-secret-0123456789abcdef' },
          secret,
          'invalid_request',
          400,
        ],
        ['no authentication by a confidential client', { client_id: 'machine' }, {}, 'invalid_client', 401],
        ['no client at all', {}, {}, 'invalid_request', 400],
        ['a wrong secret', {}, basicOf('machine', 'wrong'), 'invalid_client', 401],
        ['an empty secret', {}, basicOf('machine', ''), 'invalid_request', 400],
        ['an unknown client', {}, basicOf('nobody', 'x'), 'invalid_client', 401],
        ['a public client with a secret', {}, basicOf('spa', 'x'), 'invalid_client', 401],
        ['another scheme', {}, { Authorization: 'Bearer x' }, 'invalid_request', 400],
        ['two client_ids', { client_id: 'web' }, secret, 'invalid_request', 400],
      ])('rejects %s', async (_, form, headers, error, status) => {
        expectError(await machine(form, headers as never), error, status);
      });

      it('ignores a secret in the query', async () => {
        const query = formOf({ client_id: 'machine', client_secret: 'machine-demo-secret-0123456789abcdef' });
        expectError(
          await oauth.post(`/token?${query}`, { grant_type: 'client_credentials' }),
          'invalid_request',
        );
      });

      it('rejects a client_id in the body that differs from the authenticated client', async () => {
        expectError(await machine({ client_id: 'web' }), 'invalid_request');
        expectError(await oauth.redeem(await oauth.code(), { client_id: 'native' }), 'invalid_request');
      });

      it('responds alike to an unknown client and a wrong secret', async () => {
        const [unknown, wrong] = await Promise.all([
          machine({}, basicOf('nobody', 'x')),
          machine({}, basicOf('machine', 'x')),
        ]);
        expect(unknown.body).toEqual(wrong.body);
        expect(unknown.headers.get('www-authenticate')).toBe(wrong.headers.get('www-authenticate'));
        expect(unknown.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
      });

      it('rejects JSON at endpoints that require forms', async () => {
        const json = { 'Content-Type': 'application/json', ...secret };
        for (const path of ['/token', '/token/introspection', '/token/revocation', '/request'])
          expectError(
            await oauth.post(path, JSON.stringify({ grant_type: 'client_credentials' }), json),
            'invalid_request',
          );
      });

      it('issues client credentials tokens without sub', async () => {
        const { body } = await machine();
        expect(await oauth.introspect(body.access_token)).toMatchObject({ client_id: 'machine' });
        expect((await oauth.introspect(body.access_token))['sub']).toBeUndefined();
      });

      it('issues opaque tokens for another API', async () => {
        const archive = `${booted.origin}/archive`;
        const { access_token } = (await machine({ resource: archive })).body;
        expect(access_token).not.toContain('.');
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true, aud: archive });
      });

      it('forbids caching of responses', async () => {
        const responses = [
          await machine(),
          await oauth.post('/token/introspection', { token: 'x' }, basicOf('resource-server')),
          await oauth.post('/token/revocation', { token: 'x' }, secret),
        ];
        for (const { headers } of responses) expect(headers.get('cache-control')).toBe('no-store');
      });
    });

    describe('introspection and revocation', () => {
      it('responds exactly {"active":false} for revoked, unknown and malformed tokens', async () => {
        const revoked = (await machine()).body.access_token as string;
        await oauth.post('/token/revocation', { token: revoked }, basicOf('machine'));
        const [head, payload, signature] = ((await machine()).body.access_token as string).split('.');
        const refresh = (await oauth.tokens()).refresh_token;
        for (const token of [
          revoked,
          'x',
          '',
          `${head}.${payload}.`,
          `${head}.${payload}.${signature!.slice(0, -4)}AAAA`,
          'e30.e30.',
          '....',
          refresh,
        ]) {
          const { status, body } = await oauth.post(
            '/token/introspection',
            { token: token || '-' },
            basicOf('resource-server'),
          );
          expect({ status, body }).toEqual({ status: 200, body: { active: false } });
        }
      });

      it('reports a token as inactive that is too long for the API to read', async () => {
        const ofLength = async (length: number) => {
          const options = {
            claims: { padding: 'x'.repeat(length) },
            content: { kind: 'AccessToken' } as object,
          };
          return oauth.introspect((await issueAccessToken(booted, 'bob', options)).token, 'resource-server');
        };
        expect(await ofLength(2_000)).toMatchObject({ active: true });
        expect(await ofLength(4_000)).toEqual({ active: false });
      });

      it("does not disclose or revoke another client's token", async () => {
        const { access_token, refresh_token } = await oauth.tokens();
        expect(await oauth.introspect(access_token, 'machine')).toEqual({ active: false });
        expect(await oauth.introspect(refresh_token, 'machine')).toEqual({ active: false });
        expectError(
          await oauth.post('/token/revocation', { token: access_token }, basicOf('machine')),
          'unauthorized_client',
        );
        expect(await oauth.introspect(access_token, 'web')).toMatchObject({ active: true, client_id: 'web' });
      });

      it('does not sign introspection responses', async () => {
        const { access_token } = (await machine()).body;
        const { headers } = await oauth.post(
          '/token/introspection',
          { token: access_token },
          { ...basicOf('resource-server'), Accept: 'application/token-introspection+jwt' },
        );
        expect(headers.get('content-type')).toMatch(/^application\/json/);
      });

      it('reports credentials of other kinds as inactive', async () => {
        for (const token of ['atlas_key_x.y', 'v4.local.x', (await oauth.tokens()).id_token])
          expect(await oauth.introspect(token)).toEqual({ active: false });
      });
    });
  });
});
