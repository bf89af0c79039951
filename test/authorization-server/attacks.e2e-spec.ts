import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { OauthRecord } from '../../src/authorization-server/record.entity.js';
import { User } from '../../src/users/user.entity.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { boot, client, type Answer, type Booted } from '../support/app.js';
import { CHALLENGE, VERIFIER, WEB_CALLBACK, basicOf, formOf, oauthAt } from './flows.js';

const EVERYTHING = 'documents:read documents:write';

describe('the authorization server', () => {
  describe('attacks', () => {
    let booted: Booted;
    let oauth: ReturnType<typeof oauthAt>;
    beforeAll(async () => {
      booted = await boot({ known: true });
      oauth = oauthAt(booted.origin);
    });
    afterAll(() => booted.close());

    const refused = (answer: Answer, error: string, status = 400) =>
      expect({ status: answer.status, error: answer.body.error }).toEqual({ status, error });
    /** The browser was sent back with the error, and without a code. */
    const sentBack = async (more: Record<string, string | string[]>, error: string) => {
      const { to } = await oauth.ask(more);
      expect(to?.href.startsWith(WEB_CALLBACK)).toBe(true);
      const said = to?.hash ? new URLSearchParams(to.hash.slice(1)) : to?.searchParams;
      expect(said?.get('error')).toBe(error);
      expect(said?.get('iss')).toBe(oauth.issuer);
      expect(said?.has('code')).toBe(false);
    };
    const machine = (more: Record<string, string | string[]> = {}, headers = basicOf('machine')) =>
      oauth.post('/token', { grant_type: 'client_credentials', ...more }, headers);

    describe('where the answer goes', () => {
      it.each([
        ['another path', `${WEB_CALLBACK}/more`],
        ['a path below, and up again', 'http://localhost:4000/callback/../evil'],
        ['a query more', `${WEB_CALLBACK}?next=evil`],
        ['a fragment', `${WEB_CALLBACK}#evil`],
        ['another host', 'http://evil.example/callback'],
        ['the host as user information', 'http://localhost:4000@evil.example/callback'],
        ['another scheme', 'https://localhost:4000/callback'],
        ['another spelling of the host', 'http://LOCALHOST:4000/callback'],
        ['another port, for a client that is not native', 'http://localhost:4001/callback'],
        ['the registered one, encoded', 'http://localhost:4000/%63allback'],
        ['none', ''],
      ])('OAUTH-01: %s: a page that says so, and no redirect', async (_, redirect_uri) => {
        const { status, to } = await oauth.ask({ redirect_uri });
        expect({ status, to }).toEqual({ status: 400, to: undefined });
      });

      it('OAUTH-02: any port of the loopback address for a native client, and nothing else of it', async () => {
        const native = { client_id: 'native', scope: EVERYTHING, nonce: '' };
        const good = await oauth.ask({ ...native, redirect_uri: 'http://127.0.0.1:49152/callback' });
        expect(good.to?.pathname).toMatch(/^\/interaction\//);
        for (const redirect_uri of [
          'http://127.0.0.1:49152/other',
          'http://127.0.0.2:49152/callback',
          'http://localhost:49152/callback',
          'http://127.0.0.1.evil.example:80/callback',
          'https://127.0.0.1:49152/callback',
        ])
          expect(await oauth.ask({ ...native, redirect_uri })).toMatchObject({ status: 400, to: undefined });
      });

      it('OAUTH-03: no redirect URI, of a client that has two: a page, not a guess', async () => {
        const alice = client(booted.origin, basicOf('alice', 'correct-horse-battery-staple'));
        const redirect_uris = ['https://two.example/a', 'https://two.example/b'];
        const { body } = await alice.post('/oauth/clients', { redirect_uris });
        const two = await oauth.ask({ client_id: body.client_id, redirect_uri: '' });
        expect(two).toMatchObject({ status: 400, to: undefined });
      });

      it('OAUTH-04: an unknown client is sent nowhere', async () => {
        expect(await oauth.ask({ client_id: 'nobody' })).toMatchObject({ status: 400, to: undefined });
      });

      it('OAUTH-05: a code is redeemed with the redirect URI that it was sent to', async () => {
        const code = await oauth.code();
        refused(await oauth.redeem(code, { redirect_uri: `${WEB_CALLBACK}/` }), 'invalid_grant');
        refused(await oauth.redeem(code, { redirect_uri: '' }), 'invalid_request');
        expect((await oauth.redeem(code)).status).toBe(200);
      });

      it('OAUTH-25: every answer names the issuer, errors as well', async () => {
        await sentBack({ response_type: 'token' }, 'unsupported_response_type');
      });
    });

    describe('what is asked for', () => {
      it.each(['token', 'id_token', 'id_token token', 'code id_token', 'code token', 'none'])(
        'OAUTH-14: response_type %s: refused',
        (response_type) => sentBack({ response_type }, 'unsupported_response_type'),
      );

      it.each(['web_message', 'jwt', 'query.jwt', 'cookie'])(
        'OAUTH-17: response_mode %s: refused',
        async (mode) => {
          await sentBack({ response_mode: mode }, 'unsupported_response_mode');
        },
      );

      it('OAUTH-06: PKCE is S256, and nobody goes without', async () => {
        await sentBack({ code_challenge_method: 'plain' }, 'invalid_request');
        await sentBack({ code_challenge_method: '' }, 'invalid_request');
        await sentBack({ code_challenge: '', code_challenge_method: '' }, 'invalid_request');
        await sentBack({ code_challenge: 'short' }, 'invalid_request');
        for (const client_id of ['spa', 'native'])
          expect(
            (
              await oauth.ask({
                client_id,
                redirect_uri:
                  client_id === 'spa' ? 'http://localhost:5173/callback' : 'http://127.0.0.1:1/callback',
                code_challenge: '',
                code_challenge_method: '',
              })
            ).to?.searchParams.get('error'),
          ).toBe('invalid_request');
      });

      it('OAUTH-34: a scope that the client may not have is not given; no scope is made of two', async () => {
        for (const scope of ['documents:read admin', 'documents:write documents:read documents:read root']) {
          const { body } = await machine({ scope });
          expect((body.scope as string).split(' ').filter((each) => !EVERYTHING.includes(each))).toEqual([]);
        }
        expect((await machine({ scope: 'documents:read\tdocuments:write' })).body.error).toBe(
          'invalid_scope',
        );
        await sentBack({ scope: 'openid "admin"' }, 'invalid_scope');
      });

      it('OAUTH-34: the order of scopes does not matter (ported from ensure-other-scope-order-succeeds)', async () => {
        const code = await oauth.code({ scope: 'documents:write documents:read openid' });
        const { status, body } = await oauth.redeem(code);
        expect({ status, scope: (body.scope as string).split(' ').sort() }).toEqual({
          status: 200,
          scope: EVERYTHING.split(' '),
        });
      });

      it('OAUTH-35: a resource that nobody knows, and two at once', async () => {
        for (const resource of [
          'https://evil.example',
          `${booted.origin}/`,
          'not a URI',
          `${booted.origin}#x`,
        ]) {
          refused(await machine({ resource }), 'invalid_target');
          await sentBack({ resource }, 'invalid_target');
        }
        refused(await machine({ resource: [booted.origin, `${booted.origin}/archive`] }), 'invalid_target');
      });

      it('OAUTH-35: a refresh asks for no resource that was not granted', async () => {
        const { refresh_token } = await oauth.tokens();
        refused(
          await oauth.refresh(refresh_token, { resource: `${booted.origin}/archive` }),
          'invalid_target',
        );
      });

      it('OAUTH-49: a parameter that comes twice', async () => {
        for (const twice of [
          'client_id',
          'scope',
          'state',
          'redirect_uri',
          'response_type',
          'code_challenge',
        ]) {
          const value = oauth.authorization().searchParams.get(twice)!;
          const { to, status } = await oauth.ask({ [twice]: [value, value] });
          expect(to?.searchParams.get('error') ?? status).toBe(to ? 'invalid_request' : 400);
          expect(to?.searchParams.has('code') ?? false).toBe(false);
        }
        const basic = basicOf('machine');
        refused(await machine({ scope: ['documents:read', 'documents:read'] }), 'invalid_request');
        refused(
          await oauth.post('/token', 'grant_type=client_credentials&grant_type=client_credentials', basic),
          'invalid_request',
        );
        refused(await machine({ client_id: ['machine', 'web'] }), 'invalid_request');
        refused(
          await oauth.post('/token/introspection', { token: ['a', 'b'] }, basicOf('resource-server')),
          'invalid_request',
        );
      });
    });

    describe('codes', () => {
      it('OAUTH-07: a verifier that is missing, wrong, short, long or of other characters', async () => {
        const code = await oauth.code();
        for (const code_verifier of ['', 'w'.repeat(43), CHALLENGE])
          refused(await oauth.redeem(code, { code_verifier }), 'invalid_grant');
        for (const code_verifier of ['v'.repeat(42), 'v'.repeat(129), `${'v'.repeat(42)}!`])
          expect([400]).toContain((await oauth.redeem(code, { code_verifier })).status);
        expect((await oauth.redeem(code)).status).toBe(200);
      });

      it('OAUTH-08: no code comes of a request without a challenge, so none is redeemed with a verifier', async () => {
        const { to } = await oauth.ask({ code_challenge: '', code_challenge_method: '' });
        expect(to?.searchParams.get('error')).toBe('invalid_request');
        refused(await oauth.redeem('made-up', { code_verifier: VERIFIER }), 'invalid_grant');
      });

      it('OAUTH-09: a code that comes again, whenever: everything that came of it ends (ported from attempt-reuse-authorization-code-after-one-second)', async () => {
        const code = await oauth.code({ scope: `openid offline_access ${EVERYTHING}`, prompt: 'consent' });
        const { access_token, refresh_token } = (await oauth.redeem(code)).body;
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true });
        refused(await oauth.redeem(code), 'invalid_grant');
        expect(await oauth.introspect(access_token)).toEqual({ active: false });
        refused(await oauth.refresh(refresh_token), 'invalid_grant');
        refused(await oauth.redeem(code), 'invalid_grant');
      });

      it('OAUTH-11: a code is good for a minute (ported from fails-with-expired-auth-code)', async () => {
        const code = await oauth.code();
        const row = { kind: 'AuthorizationCode' };
        const [newest] = await booted.db.manager.find(OauthRecord, {
          where: row,
          order: { expiresAt: 'DESC' },
          take: 1,
        });
        expect(newest!.expiresAt!.getTime() - Date.now()).toBeLessThanOrEqual(60_000);
        await booted.db.manager.update(OauthRecord, { id: newest!.id }, { expiresAt: new Date() });
        refused(await oauth.redeem(code), 'invalid_grant');
      });

      it('a code of one client is nothing to another', async () => {
        const code = await oauth.code();
        refused(await oauth.redeem(code, { client_id: 'spa' }, {}), 'invalid_grant');
        expect((await oauth.redeem(code)).status).toBe(200);
      });
    });

    describe('refresh tokens', () => {
      it('REFRESH-01: one that comes again was copied: its family ends, and the log says so', async () => {
        const first = await oauth.tokens();
        const second = (await oauth.refresh(first.refresh_token)).body;
        expect(await oauth.introspect(second.access_token)).toMatchObject({ active: true, sub: 'bob' });
        refused(await oauth.refresh(first.refresh_token), 'invalid_grant');
        refused(await oauth.refresh(second.refresh_token), 'invalid_grant');
        for (const { access_token } of [first, second])
          expect(await oauth.introspect(access_token)).toEqual({ active: false });
        await booted.app.get(AuditLog).flush();
        const events = await booted.db.manager.findBy(AuditEvent, { event: 'authn_token_reuse' });
        expect(events.map(({ details }) => details)).toContainEqual({
          client: 'web',
          reason: 'refresh token already used',
        });
      });

      it('REFRESH-04: a client that never saw its new token asks for consent again: its retry looks like a thief', async () => {
        const { refresh_token } = await oauth.tokens();
        await oauth.refresh(refresh_token);
        refused(await oauth.refresh(refresh_token), 'invalid_grant');
      });

      it('REFRESH-06: never gives more than was granted, and is not used up by asking', async () => {
        const { refresh_token } = await oauth.tokens();
        refused(await oauth.refresh(refresh_token, { scope: `${EVERYTHING} audit:read` }), 'invalid_scope');
        expect((await oauth.refresh(refresh_token)).status).toBe(200);
      });

      it('REFRESH-07: may give less, and the whole again the next time', async () => {
        const { refresh_token } = await oauth.tokens();
        const narrow = (await oauth.refresh(refresh_token, { scope: 'documents:read' })).body;
        expect(narrow.scope).toBe('documents:read');
        const whole = (await oauth.refresh(narrow.refresh_token)).body;
        expect(whole.scope.split(' ').sort()).toEqual(EVERYTHING.split(' '));
      });

      it('REFRESH-09: nothing to refresh once the token, the account or all its sign-ins were ended', async () => {
        const ended = await oauth.tokens();
        await oauth.post('/token/revocation', { token: ended.refresh_token }, basicOf('web'));
        refused(await oauth.refresh(ended.refresh_token), 'invalid_grant');
        expect(await oauth.introspect(ended.access_token)).toEqual({ active: false });

        const everywhere = await oauth.tokens();
        await booted.db.transaction((manager) => endAllSignIns(manager, 'bob'));
        refused(await oauth.refresh(everywhere.refresh_token), 'invalid_grant');
        expect(await oauth.introspect(everywhere.access_token)).toEqual({ active: false });
      });

      it("a service's tokens end with its account's sign-ins, and a disabled account gets none", async () => {
        const { access_token } = (await machine()).body;
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true });
        await booted.db.transaction((manager) => endAllSignIns(manager, 'acme-machine'));
        expect(await oauth.introspect(access_token)).toEqual({ active: false });
        const next = (await machine()).body.access_token as string;
        const disable = (disabledAt: Date | null) =>
          booted.db.manager.update(User, { id: 'acme-machine' }, { disabledAt });
        await disable(new Date());
        expect(await oauth.introspect(next)).toEqual({ active: false });
        refused(await machine(), 'unauthorized_client');
        await disable(null);
        expect((await machine()).status).toBe(200);
      });

      it('one of another client is refused, and lives on', async () => {
        const { refresh_token } = await oauth.tokens();
        refused(await oauth.refresh(refresh_token, { client_id: 'spa' }, {}), 'invalid_grant');
        expect((await oauth.refresh(refresh_token)).status).toBe(200);
      });
    });

    describe('clients', () => {
      const secret = basicOf('machine');

      it('OAUTH-15: password and implicit are no grants here', async () => {
        for (const grant_type of ['password', 'implicit', 'none', 'urn:example:unknown'])
          refused(
            await oauth.post('/token', { grant_type, username: 'bob', password: 'x' }, secret),
            'unsupported_grant_type',
          );
      });

      it('OAUTH-45: what is no grant is refused before anything else of it is read', async () => {
        refused(
          await oauth.post('/token', { grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer' }, secret),
          'unsupported_grant_type',
        );
      });

      it('OAUTH-16: a grant that the client is not registered for', async () => {
        refused(
          await oauth.post('/token', { grant_type: 'client_credentials' }, basicOf('web')),
          'unauthorized_client',
        );
        refused(await oauth.redeem('code', {}, basicOf('machine')), 'unauthorized_client');
      });

      it.each<[string, Record<string, string>, Record<string, string>, string, number]>([
        [
          'Basic and a secret in the form',
          { client_id: 'machine', client_secret: 'machine-demo-secret-0123456789abcdef' },
          secret,
          'invalid_request',
          400,
        ],
        ['no authentication of a confidential client', { client_id: 'machine' }, {}, 'invalid_client', 401],
        ['nobody', {}, {}, 'invalid_request', 400],
        ['a wrong secret', {}, basicOf('machine', 'wrong'), 'invalid_client', 401],
        ['an empty secret', {}, basicOf('machine', ''), 'invalid_request', 400],
        ['an unknown client', {}, basicOf('nobody', 'x'), 'invalid_client', 401],
        ['a public client with a secret', {}, basicOf('spa', 'x'), 'invalid_client', 401],
        ['another scheme', {}, { Authorization: 'Bearer x' }, 'invalid_request', 400],
        ['two client_ids', { client_id: 'web' }, secret, 'invalid_request', 400],
      ])('OAUTH-18: %s', async (_, form, headers, error, status) => {
        refused(await machine(form, headers as never), error, status);
      });

      it('OAUTH-18: a secret in the query is not read', async () => {
        const query = formOf({ client_id: 'machine', client_secret: 'machine-demo-secret-0123456789abcdef' });
        refused(await oauth.post(`/token?${query}`, { grant_type: 'client_credentials' }), 'invalid_request');
      });

      it('OAUTH-19: a client_id in the body that is not the one that was proved', async () => {
        refused(await machine({ client_id: 'web' }), 'invalid_request');
        refused(await oauth.redeem(await oauth.code(), { client_id: 'native' }), 'invalid_request');
      });

      it('an unknown client and a wrong secret look the same', async () => {
        const [unknown, wrong] = await Promise.all([
          machine({}, basicOf('nobody', 'x')),
          machine({}, basicOf('machine', 'x')),
        ]);
        expect(unknown.body).toEqual(wrong.body);
        expect(unknown.headers.get('www-authenticate')).toBe(wrong.headers.get('www-authenticate'));
        expect(unknown.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
      });

      it('OAUTH-50: JSON, at the endpoints that take forms', async () => {
        const json = { 'Content-Type': 'application/json', ...secret };
        for (const path of ['/token', '/token/introspection', '/token/revocation', '/request'])
          refused(
            await oauth.post(path, JSON.stringify({ grant_type: 'client_credentials' }), json),
            'invalid_request',
          );
      });

      it('OAUTH-37: a client in its own name is its own account, and never a user that is named as it is', async () => {
        const { body } = await machine();
        expect(await oauth.introspect(body.access_token)).toMatchObject({ client_id: 'machine' });
        expect((await oauth.introspect(body.access_token))['sub']).toBeUndefined();
      });

      it('OAUTH-36: a token says for which API it is, and one for another API is opaque to ours', async () => {
        const archive = `${booted.origin}/archive`;
        const { access_token } = (await machine({ resource: archive })).body;
        expect(access_token).not.toContain('.');
        expect(await oauth.introspect(access_token)).toMatchObject({ active: true, aud: archive });
      });

      it('OAUTH-52: nobody keeps a copy of what is answered', async () => {
        const answers = [
          await machine(),
          await oauth.post('/token/introspection', { token: 'x' }, basicOf('resource-server')),
          await oauth.post('/token/revocation', { token: 'x' }, secret),
        ];
        for (const { headers } of answers) expect(headers.get('cache-control')).toBe('no-store');
      });
    });

    describe('what is said of tokens', () => {
      it('OPAQUE-04: one that expired, was revoked, is unknown or is none: exactly {"active":false}', async () => {
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

      it("a client learns nothing of another's token, and ends none", async () => {
        const { access_token, refresh_token } = await oauth.tokens();
        expect(await oauth.introspect(access_token, 'machine')).toEqual({ active: false });
        expect(await oauth.introspect(refresh_token, 'machine')).toEqual({ active: false });
        refused(
          await oauth.post('/token/revocation', { token: access_token }, basicOf('machine')),
          'unauthorized_client',
        );
        expect(await oauth.introspect(access_token, 'web')).toMatchObject({ active: true, client_id: 'web' });
      });

      it('OPAQUE-08: an answer about a token is no token', async () => {
        const { access_token } = (await machine()).body;
        const { headers } = await oauth.post(
          '/token/introspection',
          { token: access_token },
          { ...basicOf('resource-server'), Accept: 'application/token-introspection+jwt' },
        );
        expect(headers.get('content-type')).toMatch(/^application\/json/);
      });

      it('OPAQUE-10: what is good elsewhere is no token here', async () => {
        for (const token of ['atlas_key_x.y', 'v4.local.x', (await oauth.tokens()).id_token])
          expect(await oauth.introspect(token)).toEqual({ active: false });
      });
    });
  });
});
