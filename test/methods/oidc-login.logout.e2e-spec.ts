import { describe, expect, it } from '@jest/globals';
import { createHmac, randomUUID } from 'node:crypto';
import { User } from '../../src/users/user.entity.js';
import { client } from '../support/app.js';
import { withSlip } from '../support/test-issuer.js';
import { booted, change, events, linked, op, other, signIn, start } from './oidc-login.harness.js';

start();

describe('oidc-login, where the provider signs somebody out (OpenID Connect Back-Channel Logout 1.0)', () => {
  const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
  const now = () => Math.floor(Date.now() / 1000);
  const message = (more: object = {}) => ({
    iss: op.issuer,
    aud: 'atlas',
    iat: now(),
    exp: now() + 120,
    jti: randomUUID(),
    sub: op.lies.sub,
    events: { [EVENT]: {} },
    ...more,
  });
  const say = async (token: string, provider = 'op', type = 'application/x-www-form-urlencoded') =>
    client(booted.origin).send('POST', `/auth/oidc/${provider}/backchannel-logout`, {
      body: String(new URLSearchParams({ logout_token: token, more: 'is ignored' })),
      headers: { 'Content-Type': type },
    });
  const isIn = async (slip: string) =>
    (await client(booted.origin, withSlip(slip)).get('/me')).status === 200;

  it('ported from oidcc-client-test-rp-backchannel-rpinitlogout: all sign-ins of the account are over', async () => {
    await linked('bob');
    const slips = [(await signIn()).body.slip as string, (await signIn()).body.slip as string];
    const { status, headers, body } = await say(await op.idToken(message(), { typ: 'logout+jwt' }));
    expect([status, headers.get('cache-control'), body]).toEqual([200, 'no-store', '']);
    for (const slip of slips) expect(await isIn(slip)).toBe(false);
    const [event] = (await events({ event: 'authn_token_revoked', target: 'user:bob' })).slice(-1);
    expect(event).toMatchObject({
      userId: 'bob',
      method: 'oidc-login',
      details: { everywhere: true, provider: 'op' },
    });
    expect((await signIn()).status).toBe(200);
  });

  it('is good once', async () => {
    await linked('bob');
    const token = await op.idToken(message());
    expect((await say(token)).status).toBe(200);
    const { slip } = (await signIn()).body;
    expect(await say(token)).toMatchObject({ status: 400, body: { code: 'invalid_logout_token' } });
    expect(await isIn(slip)).toBe(true);
  });

  it.each<[string, () => object, Record<string, unknown>?]>([
    ['-wrong-iss', () => message({ iss: other.issuer })],
    ['-wrong-aud', () => message({ aud: 'another' })],
    ['-no-event', () => message({ events: undefined })],
    ['-wrong-event', () => message({ events: { 'http://schemas.openid.net/event/other': {} } })],
    ['-with-nonce', () => message({ nonce: 'x' })],
    [': an event that is no object', () => message({ events: { [EVENT]: true } })],
    [': no jti', () => message({ jti: undefined })],
    [': nobody', () => message({ sub: undefined, sid: 'x' })],
    [': no iat', () => message({ iat: undefined })],
    [': too old', () => message({ iat: now() - 200 })],
    [': over', () => message({ exp: now() - 60 })],
    [': a key that is not its', () => message(), { kid: 'unknown' }],
  ])(
    'ported from oidcc-client-test-rp-backchannel-rpinitlogout%s: nobody is signed out',
    async (_, claims, header = {}) => {
      await linked('bob');
      const { slip } = (await signIn()).body;
      const kept = Object.fromEntries(Object.entries(claims()).filter(([, value]) => value !== undefined));
      expect(await say(await op.idToken(kept, header))).toMatchObject({
        status: 400,
        body: { code: 'invalid_logout_token' },
      });
      expect(await isIn(slip)).toBe(true);
    },
  );

  it('ported from oidcc-client-test-rp-backchannel-rpinitlogout-alg-none, -wrong-alg: nobody is signed out', async () => {
    op.lies.metadata = { id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'] };
    change('op', {});
    await linked('bob');
    const { slip } = (await signIn()).body;
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const text = (alg: string) => `${encode({ alg })}.${encode(message())}`;
    const mac = createHmac('sha256', 'secret').update(text('HS256')).digest('base64url');
    for (const token of [`${text('none')}.`, `${text('HS256')}.${mac}`, 'no token', ''])
      expect([token, (await say(token)).status]).toEqual([token, 400]);
    expect(await isIn(slip)).toBe(true);
  });

  it('an ID token is no such message, nor is that of another provider, or about somebody else', async () => {
    await linked('bob');
    const { slip } = (await signIn()).body;
    const { events: _, ...claims } = message();
    expect((await say(await op.idToken(claims))).status).toBe(400);
    expect((await say(await op.idToken(message()), 'other')).status).toBe(400);
    expect((await say(await other.idToken(message({ iss: op.issuer })))).status).toBe(400);
    // Whom nobody knows is signed out already.
    expect((await say(await op.idToken(message({ sub: 'stranger' })))).status).toBe(200);
    expect(await isIn(slip)).toBe(true);
  });

  it('of a provider of one tenant signs nobody of another out', async () => {
    await linked('mallory');
    const { epoch } = await booted.db.manager.findOneByOrFail(User, { id: 'mallory' });
    expect((await say(await op.idToken(message()))).status).toBe(200);
    expect((await booted.db.manager.findOneByOrFail(User, { id: 'mallory' })).epoch).toBe(epoch);
  });

  it('is a form, as the specification says, and waits for a provider whose keys cannot be had', async () => {
    expect((await say('{}', 'op', 'application/json')).status).toBe(400);
    change('op', {});
    op.lies.instead = { '/jwks': (_, response) => response.writeHead(500).end() };
    expect((await say(await op.idToken(message()))).status).toBe(502);
    op.lies.instead = { '/jwks': (_, response) => response.destroy() };
    expect((await say(await op.idToken(message()))).status).toBe(503);
  });
});
