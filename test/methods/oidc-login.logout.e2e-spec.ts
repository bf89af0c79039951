import { describe, expect, it } from '@jest/globals';
import { createHmac, randomUUID } from 'node:crypto';
import { User } from '../../src/users/user.entity.js';
import { client } from '../support/app.js';
import { withTestToken } from '../support/test-issuer.js';
import { booted, reconfigure, events, linkIdentity, op, other, signIn, setUp } from './oidc-login.harness.js';

setUp();

describe('oidc-login, back-channel logout (OpenID Connect Back-Channel Logout 1.0)', () => {
  const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
  const now = () => Math.floor(Date.now() / 1000);
  const logoutClaims = (more: object = {}) => ({
    iss: op.issuer,
    aud: 'atlas',
    iat: now(),
    exp: now() + 120,
    jti: randomUUID(),
    sub: op.overrides.sub,
    events: { [EVENT]: {} },
    ...more,
  });
  const sendLogoutToken = async (
    token: string,
    provider = 'op',
    type = 'application/x-www-form-urlencoded',
  ) =>
    client(booted.origin).send('POST', `/auth/oidc/${provider}/backchannel-logout`, {
      body: String(new URLSearchParams({ logout_token: token, more: 'is ignored' })),
      headers: { 'Content-Type': type },
    });
  const isSignedIn = async (token: string) =>
    (await client(booted.origin, withTestToken(token)).get('/me')).status === 200;

  it('ends all sign-ins of the account (ported from oidcc-client-test-rp-backchannel-rpinitlogout)', async () => {
    await linkIdentity('bob');
    const tokens = [(await signIn()).body.test_token as string, (await signIn()).body.test_token as string];
    const { status, headers, body } = await sendLogoutToken(
      await op.idToken(logoutClaims(), { typ: 'logout+jwt' }),
    );
    expect([status, headers.get('cache-control'), body]).toEqual([200, 'no-store', '']);
    for (const token of tokens) expect(await isSignedIn(token)).toBe(false);
    const [event] = (await events({ event: 'authn_token_revoked', target: 'user:bob' })).slice(-1);
    expect(event).toMatchObject({
      userId: 'bob',
      method: 'oidc-login',
      details: { everywhere: true, provider: 'op' },
    });
    expect((await signIn()).status).toBe(200);
  });

  it('rejects a logout token that was used before', async () => {
    await linkIdentity('bob');
    const token = await op.idToken(logoutClaims());
    expect((await sendLogoutToken(token)).status).toBe(200);
    const { test_token: testToken } = (await signIn()).body;
    expect(await sendLogoutToken(token)).toMatchObject({
      status: 400,
      body: { code: 'invalid_logout_token' },
    });
    expect(await isSignedIn(testToken)).toBe(true);
  });

  it.each<[string, () => object, Record<string, unknown>?]>([
    ['-wrong-iss', () => logoutClaims({ iss: other.issuer })],
    ['-wrong-aud', () => logoutClaims({ aud: 'another' })],
    ['-no-event', () => logoutClaims({ events: undefined })],
    ['-wrong-event', () => logoutClaims({ events: { 'http://schemas.openid.net/event/other': {} } })],
    ['-with-nonce', () => logoutClaims({ nonce: 'x' })],
    [': an event that is not an object', () => logoutClaims({ events: { [EVENT]: true } })],
    [': no jti', () => logoutClaims({ jti: undefined })],
    [': no sub', () => logoutClaims({ sub: undefined, sid: 'x' })],
    [': no iat', () => logoutClaims({ iat: undefined })],
    [': too old', () => logoutClaims({ iat: now() - 200 })],
    [': expired', () => logoutClaims({ exp: now() - 60 })],
    [': an unknown key', () => logoutClaims(), { kid: 'unknown' }],
  ])(
    'rejects an invalid token (ported from oidcc-client-test-rp-backchannel-rpinitlogout%s)',
    async (_, claims, header = {}) => {
      await linkIdentity('bob');
      const { test_token: token } = (await signIn()).body;
      const kept = Object.fromEntries(Object.entries(claims()).filter(([, value]) => value !== undefined));
      expect(await sendLogoutToken(await op.idToken(kept, header))).toMatchObject({
        status: 400,
        body: { code: 'invalid_logout_token' },
      });
      expect(await isSignedIn(token)).toBe(true);
    },
  );

  it('rejects unsigned tokens and HMACs (ported from oidcc-client-test-rp-backchannel-rpinitlogout-alg-none, -wrong-alg)', async () => {
    op.overrides.metadata = { id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'] };
    reconfigure('op', {});
    await linkIdentity('bob');
    const { test_token: token } = (await signIn()).body;
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const text = (alg: string) => `${encode({ alg })}.${encode(logoutClaims())}`;
    const mac = createHmac('sha256', 'secret').update(text('HS256')).digest('base64url');
    for (const token of [`${text('none')}.`, `${text('HS256')}.${mac}`, 'no token', ''])
      expect([token, (await sendLogoutToken(token)).status]).toEqual([token, 400]);
    expect(await isSignedIn(token)).toBe(true);
  });

  it('rejects ID tokens and tokens of another provider, and ignores unknown users', async () => {
    await linkIdentity('bob');
    const { test_token: token } = (await signIn()).body;
    const { events: _, ...claims } = logoutClaims();
    expect((await sendLogoutToken(await op.idToken(claims))).status).toBe(400);
    expect((await sendLogoutToken(await op.idToken(logoutClaims()), 'other')).status).toBe(400);
    expect((await sendLogoutToken(await other.idToken(logoutClaims({ iss: op.issuer })))).status).toBe(400);
    expect((await sendLogoutToken(await op.idToken(logoutClaims({ sub: 'stranger' })))).status).toBe(200);
    expect(await isSignedIn(token)).toBe(true);
  });

  it('does not end sign-ins of another tenant', async () => {
    await linkIdentity('mallory');
    const { epoch } = await booted.db.manager.findOneByOrFail(User, { id: 'mallory' });
    expect((await sendLogoutToken(await op.idToken(logoutClaims()))).status).toBe(200);
    expect((await booted.db.manager.findOneByOrFail(User, { id: 'mallory' })).epoch).toBe(epoch);
  });

  it('requires a form, and responds 502 or 503 if the provider’s keys are unavailable', async () => {
    expect((await sendLogoutToken('{}', 'op', 'application/json')).status).toBe(400);
    reconfigure('op', {});
    op.overrides.handlers = { '/jwks': (_, response) => response.writeHead(500).end() };
    expect((await sendLogoutToken(await op.idToken(logoutClaims()))).status).toBe(502);
    op.overrides.handlers = { '/jwks': (_, response) => response.destroy() };
    expect((await sendLogoutToken(await op.idToken(logoutClaims()))).status).toBe(503);
  });
});
