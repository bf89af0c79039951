import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { demoSecret } from '../../src/authorization-server/authorization-server.demo.js';
import { ClientsService } from '../../src/authorization-server/clients/clients.service.js';
import { OidcProviderService } from '../../src/authorization-server/provider/oidc-provider.service.js';
import { User } from '../../src/users/user.entity.js';
import { issueAccessToken } from '../support/access-tokens.js';
import { boot, client, type TestResponse, type Booted } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { Browser, signIn, type Page } from './browser.js';
import { WEB_CALLBACK, basicOf, claimsOf, oauthAt } from './flows.js';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from './wire.js';

let booted: Booted;
let oauth: ReturnType<typeof oauthAt>;
beforeAll(async () => {
  booted = await boot({ publicUrlIsOrigin: true });
  oauth = oauthAt(booted.origin);
});
afterAll(() => booted.close());

const withToken = (token: string) => client(booted.origin, { Authorization: `Bearer ${token}` });
const demo = (token: string) => withToken(token).get('/demo/oauth');
/** A client signed in as a user at the API itself. */
const person = async (username: string) => {
  const login = { username, password: 'correct-horse-battery-staple', as: 'jwt' };
  const { body } = await client(booted.origin).post('/auth/login', login);
  return withToken(body.access_token as string);
};
const consentsOf = async (username: string) =>
  (await (await person(username)).get('/consents')).body.items as {
    id: string;
    client: { id: string; name: string };
    scopes: string[];
    details?: object[];
  }[];

describe('consents', () => {
  it('are listed to their owner with application, scopes and dates', async () => {
    await oauth.tokens();
    expect(await consentsOf('bob')).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{43}$/),
        client: { id: 'web', name: 'Demo web application' },
        scopes: ['openid', 'offline_access', 'documents:read', 'documents:write'],
        since: expect.any(String),
        expiresAt: expect.any(String),
      },
    ]);
    expect(await consentsOf('carol')).toEqual([]);
  });

  it('end immediately with all their tokens when they are withdrawn', async () => {
    const bob = await person('bob');
    for (const { id } of await consentsOf('bob')) await bob.send('DELETE', `/consents/${id}`);
    const tokens = await oauth.tokens();
    const archived = await oauth.redeem(
      await oauth.code({ resource: `${booted.origin}/archive`, scope: 'openid documents:read' }),
    );
    const exchanged = await oauth.post(
      '/token',
      { grant_type: TOKEN_EXCHANGE, subject_token: tokens.access_token, subject_token_type: ACCESS_TOKEN },
      basicOf('machine'),
    );
    await booted.app.get(ClientsService, { strict: false }).upsert('plain', {
      client_secret: demoSecret('plain'),
      redirect_uris: [WEB_CALLBACK],
      access_token_format: 'opaque',
      resource_scopes: 'documents:read',
    });
    const plain = await oauth.redeem(
      await oauth.code({ client_id: 'plain', scope: 'openid documents:read' }),
      {},
      basicOf('plain'),
    );
    const opaque = plain.body.access_token as string;
    expect(opaque).not.toContain('.');
    const pending = await oauth.code();
    const here = [tokens.access_token, opaque, exchanged.body.access_token as string];
    const all = [...here, archived.body.access_token as string];
    for (const token of here) expect((await demo(token)).status).toBe(200);
    for (const token of all) expect(await oauth.introspect(token)).toMatchObject({ active: true });

    for (const { id } of await consentsOf('bob'))
      expect((await bob.send('DELETE', `/consents/${id}`)).status).toBe(204);

    for (const token of here)
      expect(await demo(token)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    for (const token of all) expect(await oauth.introspect(token)).toEqual({ active: false });
    expect(await oauth.introspect(tokens.refresh_token, 'web')).toEqual({ active: false });
    const rejected: TestResponse[] = [await oauth.refresh(tokens.refresh_token), await oauth.redeem(pending)];
    for (const { status, body } of rejected)
      expect({ status, error: body.error as string }).toEqual({ status: 400, error: 'invalid_grant' });
    expect(await consentsOf('bob')).toEqual([]);
    const event = await booted.db.manager.findOneOrFail(AuditEvent, {
      where: { event: 'authn_token_revoked', target: 'oauth-client:web' },
      order: { seq: 'DESC' },
    });
    expect(event).toMatchObject({ userId: 'bob', details: { consent: 'withdrawn' } });
  });

  it('are requested again after withdrawal', async () => {
    const browser = new Browser(booted.origin);
    await signIn(booted, oauth.authorization(), 'bob', { browser });
    const bob = await person('bob');
    for (const { id } of await consentsOf('bob')) await bob.send('DELETE', `/consents/${id}`);
    const page = (await browser.open(oauth.authorization())) as Page;
    expect(page.text).toContain('asks for');
    expect(page.form?.buttons.map(({ text }) => text)).toContain('Allow');
  });

  it('are extended by new scopes only, without those that the user deselects', async () => {
    const browser = new Browser(booted.origin);
    const first = oauth.authorization({ scope: 'openid documents:read' });
    await signIn(booted, first, 'alice', { browser });
    const more = oauth.authorization({ scope: 'openid documents:read documents:write documents:delete' });
    const page = (await browser.open(more)) as Page;
    const offered = page.form?.fields.filter(([name]) => name === 'scope').map(([, value]) => value);
    expect(offered).toEqual([`${booted.origin} documents:write`, `${booted.origin} documents:delete`]);
    const { callback } = await signIn(booted, more, 'alice', {
      browser,
      scopes: [`${booted.origin} documents:write`],
    });
    const { body } = await oauth.redeem(callback.searchParams.get('code')!);
    expect(claimsOf(body.access_token as string)['scope']).toBe('openid documents:read documents:write');
    expect((await consentsOf('alice'))[0]?.scopes).toEqual(['openid', 'documents:read', 'documents:write']);
  });

  describe('attacks', () => {
    it('responds 404 to withdrawing another user’s consent or an unknown one', async () => {
      const tokens = await oauth.tokens();
      const [consent] = await consentsOf('bob');
      const carol = await person('carol');
      for (const id of [consent!.id, 'x'.repeat(43)])
        expect(await carol.send('DELETE', `/consents/${id}`)).toMatchObject({
          status: 404,
          body: { code: 'not_found' },
        });
      expect((await demo(tokens.access_token)).status).toBe(200);
    });

    it('rejects limited credentials that list or withdraw consents', async () => {
      const tokens = await oauth.tokens();
      const [consent] = await consentsOf('bob');
      const bob = await person('bob');
      const { key } = (await bob.post('/api-keys', { name: 'limited', scopes: ['documents:read'] })).body;
      for (const caller of [
        withToken(tokens.access_token),
        client(booted.origin, { 'X-API-Key': key as string }),
      ])
        for (const [method, path] of [
          ['GET', '/consents'],
          ['DELETE', `/consents/${consent!.id}`],
        ] as const)
          expect(await caller.send(method, path)).toMatchObject({
            status: 403,
            body: { code: 'limited_credential' },
          });
      expect((await demo(tokens.access_token)).status).toBe(200);
    });

    it('leaves no valid token of a refresh that runs during the withdrawal', async () => {
      const bob = await person('bob');
      for (let i = 0; i < 8; i++) {
        const tokens = await oauth.tokens();
        const [consent] = await consentsOf('bob');
        const [refreshed] = await Promise.all([
          oauth.refresh(tokens.refresh_token),
          bob.send('DELETE', `/consents/${consent!.id}`),
        ]);
        if (refreshed.status !== 200) continue;
        expect((await demo(refreshed.body.access_token as string)).status).toBe(401);
        expect((await oauth.refresh(refreshed.body.refresh_token as string)).status).toBe(400);
      }
    });

    it('does not list consents from before all sign-ins were ended', async () => {
      await oauth.tokens();
      await booted.db.manager.increment(User, { id: 'bob' }, 'epoch', 1);
      expect(await consentsOf('bob')).toEqual([]);
    });
  });
});

describe('on two servers', () => {
  let processes: Processes;
  beforeAll(async () => (processes = await startProcesses(2)), 60_000);
  afterAll(() => processes.stop());

  it('rejects tokens of a withdrawn consent on both servers with the next request', async () => {
    const provider = await processes.app.get(OidcProviderService, { strict: false }).provider();
    const grant = new provider.Grant({ accountId: 'bob', clientId: 'web' });
    const grantId = await grant.save();
    const tokens = await Promise.all(
      (['jwt', 'opaque'] as const).map((format) =>
        issueAccessToken(processes, 'bob', { format, row: { grantId } }),
      ),
    );
    const seen = async () => {
      const responses = processes.origins.flatMap((origin) =>
        tokens.map(({ token }) => client(origin).get('/demo/oauth', { Authorization: `Bearer ${token}` })),
      );
      return (await Promise.all(responses)).map(({ status }) => status);
    };
    expect(await seen()).toEqual([200, 200, 200, 200]);
    const [first = ''] = processes.origins;
    const login = { username: 'bob', password: 'correct-horse-battery-staple', as: 'jwt' };
    const { access_token } = (await client(first).post('/auth/login', login)).body;
    const bob = client(first, { Authorization: `Bearer ${access_token}` });
    const { items } = (await bob.get('/consents')).body;
    expect((await bob.send('DELETE', `/consents/${items[0].id}`)).status).toBe(204);
    expect(await seen()).toEqual([401, 401, 401, 401]);
  });
});

describe('rich authorization requests', () => {
  const DOCUMENT = 'bob-draft-internal';
  const details = (over: Record<string, unknown> = {}) =>
    JSON.stringify([{ type: 'document', identifier: DOCUMENT, actions: ['read'], ...over }]);
  const rich = { scope: 'openid offline_access', prompt: 'consent' };

  it('give an application access to one document only', async () => {
    const tokens = await oauth.tokens({ ...rich, authorization_details: details() });
    expect(claimsOf(tokens.access_token)).toMatchObject({
      aud: booted.origin,
      authorization_details: JSON.parse(details()) as object,
    });
    const web = withToken(tokens.access_token);
    const all = (await (await person('bob')).get('/documents')).body.items as { id: string }[];
    expect(all.length).toBeGreaterThan(1);
    for (const { id } of all)
      expect((await web.get(`/documents/${id}`)).status).toBe(id === DOCUMENT ? 200 : 404);
    const listed = (await web.get('/documents')).body.items as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual([DOCUMENT]);
    expect(
      (
        await web.send('PATCH', `/documents/${DOCUMENT}`, {
          body: { title: 'x' },
          headers: { 'If-Match': '*' },
        })
      ).status,
    ).toBe(403);
    expect((await web.post('/documents', { title: 'new', body: '' })).status).toBe(403);
  });

  it('are kept by a refresh, which may narrow them', async () => {
    const authorization_details = details({ actions: ['read', 'update'] });
    const tokens = await oauth.tokens({ ...rich, authorization_details });
    const same = await oauth.refresh(tokens.refresh_token);
    expect(same.body.authorization_details).toEqual(JSON.parse(authorization_details));
    const less = await oauth.refresh(same.body.refresh_token as string, { authorization_details: details() });
    expect(claimsOf(less.body.access_token as string)['authorization_details']).toEqual(
      JSON.parse(details()),
    );
    const more = await oauth.refresh(less.body.refresh_token as string, {
      authorization_details: details({ actions: ['delete'] }),
    });
    expect(more).toMatchObject({ status: 400, body: { error: 'invalid_authorization_details' } });
  });

  it('are shown on the consent page each time', async () => {
    const browser = new Browser(booted.origin);
    const url = oauth.authorization({ scope: 'openid', authorization_details: details() });
    await signIn(booted, url, 'bob', { browser });
    expect(((await browser.open(url)) as Page).text).toContain(DOCUMENT);
  });

  it('are part of the consent and end with it', async () => {
    const tokens = await oauth.tokens({ ...rich, authorization_details: details() });
    const consents = (await consentsOf('bob')).filter((each) => each.details);
    expect(consents[0]?.details).toContainEqual(JSON.parse(details())[0]);
    const bob = await person('bob');
    for (const { id } of consents) await bob.send('DELETE', `/consents/${id}`);
    expect((await demo(tokens.access_token)).status).toBe(401);
  });

  it('limit client credentials tokens', async () => {
    const { body } = await oauth.post(
      '/token',
      { grant_type: 'client_credentials', authorization_details: details() },
      basicOf('machine'),
    );
    expect(claimsOf(body.access_token as string)['authorization_details']).toEqual(JSON.parse(details()));
    expect(await oauth.introspect(body.access_token as string)).toMatchObject({
      active: true,
      authorization_details: JSON.parse(details()) as object,
    });
  });

  describe('attacks', () => {
    it('rejects malformed and unknown details', async () => {
      for (const text of [
        '{',
        '{}',
        '[1]',
        details({ type: 'payment' }),
        details({ identifier: undefined }),
        details({ identifier: '../x' }),
        details({ actions: [] }),
        details({ actions: ['read', 'read'] }),
        details({ actions: ['share'] }),
        details({ actions: undefined }),
        details({ locations: ['https://elsewhere.example'] }),
        details({ identifier: 'x'.repeat(5_000) }),
      ]) {
        const { to } = await oauth.authorize({ scope: 'openid', authorization_details: text });
        expect(to?.searchParams.get('error')).toBe('invalid_authorization_details');
      }
    });

    it('rejects details together with scopes of the API', async () => {
      const { to } = await oauth.authorize({
        scope: 'openid documents:read',
        authorization_details: details(),
      });
      expect(to?.searchParams.get('error')).toBe('invalid_authorization_details');
    });

    it('rejects details from clients without the right, and actions beyond the client’s scopes', async () => {
      await booted.app.get(ClientsService, { strict: false }).upsert('reader', {
        client_secret: demoSecret('reader'),
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        resource_scopes: 'documents:read',
        authorization_details_types: ['document'],
      });
      const rejected: TestResponse[] = [
        await oauth.post(
          '/token',
          { grant_type: 'client_credentials', authorization_details: details({ actions: ['delete'] }) },
          basicOf('reader'),
        ),
        await oauth.post(
          '/backchannel',
          { scope: 'openid', login_hint: 'bob', binding_message: 'x', authorization_details: details() },
          basicOf('ciba'),
        ),
      ];
      for (const { status, body } of rejected)
        expect({ status, error: body.error as string }).toEqual({
          status: 400,
          error: 'invalid_authorization_details',
        });
    });

    it('requires a new consent for a request without details', async () => {
      const browser = new Browser(booted.origin);
      const one = oauth.authorization({ scope: 'openid', authorization_details: details() });
      await signIn(booted, one, 'dave', { browser });
      const all = (await browser.open(oauth.authorization({ scope: 'openid documents:read' }))) as Page;
      expect(all.form?.buttons.map(({ text }) => text)).toContain('Allow');
    });

    it('keeps the details in an exchanged token', async () => {
      const tokens = await oauth.tokens({ ...rich, authorization_details: details() });
      const exchanged = await oauth.post(
        '/token',
        { grant_type: TOKEN_EXCHANGE, subject_token: tokens.access_token, subject_token_type: ACCESS_TOKEN },
        basicOf('machine'),
      );
      const listed = (await withToken(exchanged.body.access_token as string).get('/documents')).body
        .items as {
        id: string;
      }[];
      expect(listed.map(({ id }) => id)).toEqual([DOCUMENT]);
    });

    it('rejects a token with unknown details', async () => {
      const { token } = await issueAccessToken(booted, 'bob', {
        claims: { authorization_details: [{ type: 'payment' }] },
      });
      expect((await demo(token)).status).toBe(401);
    });
  });
});
