import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import {
  Authenticate,
  Caller,
  Consumes,
  CurrentRequest,
  Public,
  SelfService,
} from '../../src/authentication/plan.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal } from '../../src/authentication/principal.js';
import { LastUsed } from '../../src/database/last-used.service.js';
import { withSession } from '../../src/methods/session/session.client.js';
import { SessionCookie } from '../../src/methods/session/session.cookie.js';
import { MAX_SESSIONS_PER_USER, Session } from '../../src/methods/session/session.entity.js';
import {
  ABSOLUTE_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  hashSessionValue,
  newSessionValue,
} from '../../src/methods/session/session.js';
import { SessionService } from '../../src/methods/session/session.service.js';
import { User } from '../../src/users/user.entity.js';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Describe } from '../../src/authentication/describe.js';
import { as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './session.contract.js';

satisfiesTheContract(contract);

const ORIGIN = 'https://atlas.example';
const NAME = '__Host-session';
const MINUTE = 60_000;

/** Replaces a sign-in that ends in a session, such as a password or a passkey. */
@Controller('ceremony')
class Ceremony {
  constructor(
    private readonly issuers: IssuerRegistry,
    private readonly db: DataSource,
  ) {}

  @Post('step-up')
  @Authenticate('session')
  @SelfService()
  @HttpCode(200)
  stepUp(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest) {
    const fresh = { at: new Date(), amr: ['pwd', 'otp', 'mfa'] };
    return this.issuers.find('session')!.stepUp(caller, fresh, request);
  }

  @Post('in')
  @Public()
  @HttpCode(200)
  async signIn(@Body() body: { id: string; scopes?: string[] }, @CurrentRequest() request: AuthRequest) {
    const { id, kind, tenantId, roles, epoch } = await this.db.manager.findOneByOrFail(User, { id: body.id });
    const proof = { method: 'test', at: new Date(), amr: ['pwd'], bound: false } as const;
    const scopes = body.scopes && { scopes: body.scopes };
    return this.issuers
      .find('session')!
      .issue({ id, kind, tenantId, roles, ...scopes, proofs: [proof] }, request, epoch);
  }
}

/** A route that a page's form and a script can write to. */
@Controller('form')
@SelfService()
@Authenticate('session')
class FormRoute {
  calls = 0;

  @Post()
  @Consumes('form', 'json')
  @HttpCode(200)
  @Describe('Receive a form', { response: z.object({ calls: z.number() }) })
  receiveForm() {
    return { calls: ++this.calls };
  }
}

describe('session', () => {
  let booted: Booted;
  beforeAll(
    async () =>
      (booted = await boot({
        controllers: [Ceremony, FormRoute],
        env: { PUBLIC_URL: ORIGIN, PORT: '3000' },
      })),
  );
  afterAll(() => booted.close());

  /** The headers of a request from a page of this origin. */
  const SAME_ORIGIN = { Origin: ORIGIN, 'Sec-Fetch-Site': 'same-origin' };

  interface Signed {
    readonly id: string;
    readonly value: string;
    readonly token: string;
    readonly response: TestResponse;
  }
  const setCookies = (response: TestResponse) => response.headers.getSetCookie();
  const valueIn = (field = '') => /^__Host-session=([^;]*);/.exec(field)?.[1] ?? '';
  const start = (body: object = {}, headers: Record<string, string> = {}) =>
    client(booted.origin, { 'User-Agent': 'a browser', ...headers }).post('/ceremony/in', {
      id: 'bob',
      ...body,
    });
  const rowOf = (value: string) =>
    booted.db.manager.findOneByOrFail(Session, { idHash: hashSessionValue(value) });
  const signIn = async (body: object = {}, headers: Record<string, string> = {}): Promise<Signed> => {
    const response = await start(body, headers);
    expect(response.status).toBe(200);
    const value = valueIn(setCookies(response)[0]);
    const { id } = await rowOf(value);
    return { id, value, token: response.body.csrf_token as string, response };
  };
  /** Sends requests as a page of this origin does, with the CSRF token. */
  const by = ({ value, token }: Pick<Signed, 'value' | 'token'>) =>
    client(booted.origin, { Cookie: `${NAME}=${value}`, 'X-CSRF-Token': token, ...SAME_ORIGIN });
  const row = (id: string) => booted.db.manager.findOneByOrFail(Session, { id });
  const update = (id: string, changes: Partial<Session>) =>
    booted.db.manager.update(Session, { id }, changes);
  const ago = (ms: number) => new Date(Date.now() - ms);
  const isAccepted = async (signed: Pick<Signed, 'value' | 'token'>) =>
    (await by(signed).get('/demo/session')).status === 200;
  const expectRejected = (response: TestResponse) => {
    expect([response.status, response.body.code]).toEqual([401, 'invalid_session']);
    expect(response.headers.get('www-authenticate')).toBe(
      `Cookie realm="auth-atlas", cookie-name="${NAME}", form-action="/auth/login"`,
    );
  };
  const events = async (id: string) =>
    (
      await booted.db.manager.find(AuditEvent, { where: { target: `session:${id}` }, order: { seq: 'ASC' } })
    ).map(({ event, details }) => [event, details['reason']].filter(Boolean).join(': '));
  const documentsOf = async (signed: Signed) =>
    (await by(signed).get('/documents?limit=100')).body.items.length as number;

  it('issues a cookie for reads and a CSRF token for writes', async () => {
    const signed = await signIn();
    expect(signed.response.body).toEqual({
      csrf_token: expect.stringMatching(/^[\w-]{43}$/),
      expires_in: ABSOLUTE_TIMEOUT_MS / 1000,
    });
    const { status, body } = await by(signed).get('/demo/session');
    expect([status, body.id]).toEqual([200, 'bob']);
    expect(body.proofs).toEqual([
      {
        method: 'session',
        credentialId: signed.id,
        at: expect.any(String),
        amr: ['pwd'],
        bound: false,
        signIn: true,
      },
    ]);
    expect((await by(signed).post('/documents', { title: 'from a page' })).status).toBe(201);
  });

  it("is sent by the method's own client", async () => {
    const { value, token } = await signIn();
    const sign = withSession({ cookie: `${NAME}=${value}`, csrf: { token, origin: ORIGIN } });
    const request = new Request(`${booted.origin}/documents`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"title":"from a program"}',
    });
    expect((await fetch(sign(request))).status).toBe(201);
  });

  it('reports the time of the sign-in, not of the last request', async () => {
    const signed = await signIn();
    await update(signed.id, { authAt: new Date('2026-01-02T03:04:05.678Z') });
    const { body } = await by(signed).get('/demo/session');
    expect(body.proofs[0].at).toBe('2026-01-02T03:04:05.678Z');
  });

  it('is limited to the scopes of its sign-in', async () => {
    const signed = await signIn({ scopes: ['documents:read'] });
    expect((await by(signed).get('/me')).body.scopes).toEqual(['documents:read']);
    expect(await documentsOf(signed)).toBeGreaterThan(0);
    const { status, body } = await by(signed).post('/documents', { title: 'x' });
    expect([status, body.code]).toEqual([403, 'insufficient_scope']);
  });

  it('states a fresh factor after a step-up, with a new cookie: the cookie from before is invalid at once', async () => {
    const signed = await signIn();
    const old = new Date(Date.now() - 10 * MINUTE);
    await booted.db.manager.update(Session, { id: signed.id }, { authAt: old });
    const response = await by(signed).post('/ceremony/step-up');
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ csrf_token: signed.token, expires_in: expect.any(Number) });
    const value = valueIn(setCookies(response)[0]);
    expect(await rowOf(value)).toMatchObject({ id: signed.id, amr: ['pwd', 'otp', 'mfa'] });
    const shown = await by({ ...signed, value }).get('/demo/session');
    expect(shown.body.proofs).toMatchObject([{ credentialId: signed.id, amr: ['pwd', 'otp', 'mfa'] }]);
    expect(Date.parse(shown.body.proofs[0].at as string)).toBeGreaterThan(old.getTime());
    expect((await by(signed).get('/demo/session')).status).toBe(401);
  });

  it('does not step up once it has ended', async () => {
    const signed = await signIn();
    const sessions = booted.app.get(SessionService);
    const caller = (await by(signed).get('/demo/session')).body as Principal;
    await booted.db.manager.update(Session, { id: signed.id }, { revokedAt: new Date() });
    const stepUp = sessions.stepUp(caller, { at: new Date(), amr: ['mfa'] }, {} as AuthRequest);
    await expect(stepUp).rejects.toMatchObject({ response: { code: 'sign_in_ended' } });
  });

  it('returns its CSRF token again to a reloaded page', async () => {
    const signed = await signIn();
    expect((await by(signed).get('/sessions/csrf')).body).toEqual({ csrf_token: signed.token });
    expect((await client(booted.origin, as({ id: 'bob' })).get('/sessions/csrf')).status).toBe(401);
  });

  it('updates the last use at most once a minute', async () => {
    const signed = await signIn();
    const seenAfter = async (lastSeenAt: Date) => {
      await update(signed.id, { lastSeenAt });
      await by(signed).get('/me');
      await booted.app.get(LastUsed).flush();
      return (await row(signed.id)).lastSeenAt;
    };
    const [lately, earlier] = [ago(MINUTE / 2), ago(2 * MINUTE)];
    expect(await seenAfter(lately)).toEqual(lately);
    expect((await seenAfter(earlier)).getTime()).toBeGreaterThan(lately.getTime());
  });

  it('is audited when it begins and when it ends', async () => {
    const signed = await signIn();
    await by(signed).post('/auth/logout');
    expect(await events(signed.id)).toEqual(['session_created', 'session_expired: logged out']);
    const [login] = await booted.db.manager.find(AuditEvent, {
      where: { event: 'authn_login_success' },
      order: { seq: 'DESC' },
      take: 1,
    });
    expect(login).toMatchObject({ userId: 'bob', tenantId: 'acme', details: { as: 'session' } });
  });

  it('is deleted a day after it ended, and not earlier', async () => {
    const day = 24 * 60 * MINUTE;
    const [good, late, old, ended] = [await signIn(), await signIn(), await signIn(), await signIn()];
    await update(late.id, { expiresAt: ago(day - MINUTE) });
    await update(old.id, { expiresAt: ago(day + MINUTE) });
    await update(ended.id, { revokedAt: ago(day + MINUTE) });
    await booted.app.get(SessionService).cleanUp();
    const left = (await booted.db.manager.find(Session)).map(({ id }) => id);
    expect(left).toEqual(expect.arrayContaining([good.id, late.id]));
    expect(left).not.toContain(old.id);
    expect(left).not.toContain(ended.id);
  });

  describe('the list', () => {
    const ids = (response: TestResponse) =>
      response.body.items.map((item: { id: string }) => item.id) as string[];

    it("contains the account's active sessions and marks the current one", async () => {
      const [first, second] = [await signIn({ id: 'carol' }), await signIn({ id: 'carol' })];
      for (const over of [
        { revokedAt: new Date() },
        { expiresAt: new Date() },
        { lastSeenAt: ago(IDLE_TIMEOUT_MS) },
      ])
        await update((await signIn({ id: 'carol' })).id, over);
      const { body } = await by(second).get('/sessions');
      expect(body.items).toHaveLength(2);
      expect(body.items).toContainEqual({
        id: second.id,
        createdAt: expect.any(String),
        lastSeenAt: expect.any(String),
        expiresAt: expect.any(String),
        userAgent: 'a browser',
        ip: expect.stringMatching(/127\.0\.0\.1$/),
        scopes: null,
        amr: ['pwd'],
        current: true,
      });
      expect(body.items).toContainEqual(expect.objectContaining({ id: first.id, current: false }));
    });

    it('is available to every method of the account', async () => {
      const signed = await signIn({ id: 'dave' });
      expect(ids(await client(booted.origin, as({ id: 'dave' })).get('/sessions'))).toEqual([signed.id]);
    });

    it('keeps 200 characters of the User-Agent', async () => {
      const signed = await signIn({}, { 'User-Agent': 'x'.repeat(300) });
      expect((await row(signed.id)).userAgent).toBe('x'.repeat(200));
    });

    it('ends one session and keeps the others', async () => {
      const [here, there] = [await signIn(), await signIn()];
      const response = await by(here).send('DELETE', `/sessions/${there.id}`);
      expect([response.status, setCookies(response)]).toEqual([204, []]);
      expect([await isAccepted(here), await isAccepted(there)]).toEqual([true, false]);
      expect(await events(there.id)).toEqual(['session_created', 'session_expired: ended']);
      expect((await by(here).send('DELETE', `/sessions/${there.id}`)).status).toBe(404);
    });

    it('deletes the cookie of a browser that ends its own session', async () => {
      const signed = await signIn();
      const response = await by(signed).send('DELETE', `/sessions/${signed.id}`);
      expect(response.status).toBe(204);
      expect(setCookies(response)[0]).toMatch(/^__Host-session=; .*Max-Age=0$/);
    });

    it("gives 404 for another account's session", async () => {
      const signed = await signIn();
      for (const other of [
        as({ id: 'carol', roles: ['viewer'] }),
        as({ id: 'alice', roles: ['admin'] }),
        as({ id: 'mallory', tenantId: 'globex', roles: ['admin'] }),
      ]) {
        const who = client(booted.origin, other);
        expect(ids(await who.get('/sessions'))).not.toContain(signed.id);
        const { status, body } = await who.send('DELETE', `/sessions/${signed.id}`);
        expect([status, body.code]).toEqual([404, 'not_found']);
      }
      expect(await isAccepted(signed)).toBe(true);
    });

    it('lets a limited session end only itself', async () => {
      const [wide, narrow] = [await signIn(), await signIn({ scopes: ['documents:read'] })];
      const limited = by(narrow);
      for (const [method, path] of [
        ['GET', '/sessions'],
        ['DELETE', `/sessions/${wide.id}`],
        ['DELETE', '/sessions'],
      ] as const) {
        const { status, body } = await limited.send(method, path);
        expect([status, body.code]).toEqual([403, 'limited_credential']);
      }
      expect(await isAccepted(wide)).toBe(true);
      expect((await limited.send('DELETE', `/sessions/${narrow.id}`)).status).toBe(204);
    });
  });

  describe('attacks', () => {
    it('ends the session whose cookie came with the login, and never reuses its value', async () => {
      const planted = await signIn({ id: 'carol' });
      const signed = await signIn({}, { Cookie: `${NAME}=${planted.value}` });
      expect(signed.value).not.toBe(planted.value);
      expectRejected(await by(planted).get('/me'));
      expect(await isAccepted(signed)).toBe(true);
      expect(await events(planted.id)).toEqual(['session_created', 'session_expired: replaced']);
      // The cookie before a renewal still identifies the session, and ends it as well.
      const renewed = await signIn();
      await update(renewed.id, {
        previousHash: hashSessionValue(renewed.value),
        idHash: hashSessionValue('another'),
      });
      await signIn({}, { Cookie: `${NAME}=${renewed.value}` });
      expect((await row(renewed.id)).revokedAt).toBeInstanceOf(Date);
      const made = newSessionValue().value;
      expect((await signIn({}, { Cookie: `${NAME}=${made}` })).value).not.toBe(made);
    });

    it('rejects two cookies of the name, and ignores similar names', async () => {
      const [{ value, token }, planted] = [await signIn(), await signIn({ id: 'carol' })];
      for (const cookies of [
        [value, planted.value],
        [planted.value, value],
        [value, value],
        [value, ''],
      ]) {
        const Cookie = cookies.map((each) => `${NAME}=${each}`).join('; ');
        for (const response of [
          await client(booted.origin).get('/me', { Cookie }),
          await start({}, { Cookie }),
        ])
          expect([response.status, response.body.code]).toEqual([400, 'duplicate_cookie']);
      }
      for (const name of [
        '__host-session',
        '__HOST-SESSION',
        '__Secure-session',
        'session',
        'session-dev',
        '\u00a0__Host-session',
        '__Host-session\u00a0',
        '__Host-session ',
        'x__Host-session',
      ]) {
        const lookAlike = `${name}=${planted.value}`;
        expect((await client(booted.origin).get('/me', { Cookie: lookAlike })).body.code).toBe(
          'unauthenticated',
        );
        const both = await by({ value: `${value}; ${lookAlike}`, token }).get('/me');
        expect([both.status, both.body.id]).toEqual([200, 'bob']);
      }
    });

    it('sets the cookie with the same strict attributes at login, renewal and logout', async () => {
      const attributes = (field = '') => field.split('; ').slice(1).sort();
      const wanted = ['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure'];
      const signed = await signIn();
      expect(attributes(setCookies(signed.response)[0])).toEqual(wanted);
      await update(signed.id, { roles: [] });
      const renewed = setCookies(await by(signed).get('/me'));
      expect(renewed).toHaveLength(1);
      expect(attributes(renewed[0])).toEqual(wanted);
      const out = setCookies(await by({ ...signed, value: valueIn(renewed[0]) }).post('/auth/logout'));
      expect(out).toHaveLength(1);
      expect(attributes(out[0])).toEqual(['HttpOnly', 'Max-Age=0', 'Path=/', 'SameSite=Lax', 'Secure']);
      for (const field of [...setCookies(signed.response), ...renewed, ...out])
        expect(field).toMatch(/^__Host-session=/);
    });

    it('sets a cookie without the __Host- prefix over plain HTTP', () => {
      expect(new SessionCookie('http://localhost:3000').set('x')).toBe(
        'session-dev=x; Path=/; HttpOnly; SameSite=Lax',
      );
    });

    it('rejects altered values with 401', async () => {
      const { value, token } = await signIn();
      const last = value.endsWith('A') ? 'E' : 'A';
      for (const altered of [
        value.slice(0, -1) + last,
        value.slice(0, -1),
        `${value}A`,
        `${value}=`,
        `${value}.${hashSessionValue(value)}`,
        `"${value}"`,
        value.toLowerCase() === value ? value.toUpperCase() : value.toLowerCase(),
        `s%3A${value}`,
        encodeURIComponent('{"id":"bob"}'),
        '\u00ff\u00fe',
        'x'.repeat(5000),
        '__proto__',
        '',
      ])
        expectRejected(await by({ value: altered, token }).get('/me'));
      expect(await isAccepted({ value, token })).toBe(true);
    });

    it('stores no usable cookie value in the database', async () => {
      const { id, value } = await signIn();
      const dump = JSON.stringify(await booted.db.query('SELECT * FROM sessions'));
      expect(dump).toContain(id);
      expect(dump).not.toContain(value);
      for (const stolen of [id, hashSessionValue(value)])
        expectRejected(await by({ value: stolen, token: '' }).get('/me'));
      const log = JSON.stringify(await booted.db.query('SELECT * FROM audit_events'));
      expect(log).toContain(id);
      expect(log).not.toContain(value);
      expect(log).not.toContain(hashSessionValue(value));
    });

    it('ends after half an hour without a request, and after twelve hours in any case', async () => {
      const callAfterChange = async (changes: Partial<Session>) => {
        const signed = await signIn();
        await update(signed.id, changes);
        const response = await by(signed).get('/me');
        return { signed, response };
      };
      const second = 1000;
      for (const changes of [
        { lastSeenAt: ago(IDLE_TIMEOUT_MS - 5 * second) },
        { expiresAt: new Date(Date.now() + 5 * second) },
      ])
        expect((await callAfterChange(changes)).response.status).toBe(200);
      for (const [changes, reason] of [
        [{ lastSeenAt: ago(IDLE_TIMEOUT_MS) }, 'idle'],
        [{ expiresAt: new Date() }, 'expired'],
      ] as const) {
        const { signed, response } = await callAfterChange(changes);
        expectRejected(response);
        // It stays ended, and is audited once.
        await update(signed.id, { lastSeenAt: new Date(), expiresAt: new Date(Date.now() + MINUTE) });
        await Promise.all([1, 2, 3].map(async () => expectRejected(await by(signed).get('/me'))));
        expect(await events(signed.id)).toEqual(['session_created', `session_expired: ${reason}`]);
      }
      const { createdAt, expiresAt } = await row((await signIn()).id);
      expect(expiresAt.getTime() - createdAt.getTime()).toBe(12 * 60 * MINUTE);
      expect(IDLE_TIMEOUT_MS).toBe(30 * MINUTE);
    });

    it('audits a timeout once, when several requests find it', async () => {
      const signed = await signIn();
      const { body: bob } = await by(signed).get('/me');
      const sessions = booted.app.get(SessionService, { strict: false });
      for (const reason of ['idle', 'expired']) await sessions.revoke(signed.id, reason, bob as Principal);
      expect(await events(signed.id)).toEqual(['session_created', 'session_expired: idle']);
    });

    it("rejects the cookie after a logout, and clears the browser's data", async () => {
      const signed = await signIn();
      const response = await by(signed).post('/auth/logout');
      expect(response.status).toBe(204);
      expect(response.headers.get('clear-site-data')).toBe('"cache", "cookies", "storage"');
      expect(setCookies(response)[0]).toMatch(/^__Host-session=;/);
      expectRejected(await by(signed).get('/me'));
      expectRejected(await by(signed).post('/auth/logout'));
      // No response to a session may be cached, or the back button would show it.
      expect((await by(await signIn()).get('/me')).headers.get('cache-control')).toBe('no-store');
    });

    it('ends all sessions of the account, and no others, when it logs out everywhere', async () => {
      const mine = [await signIn(), await signIn(), await signIn(), await signIn(), await signIn()];
      const other = await signIn({ id: 'carol' });
      const response = await by(mine[0]!).send('DELETE', '/sessions');
      expect([response.status, response.headers.get('clear-site-data')]).toEqual([
        204,
        '"cache", "cookies", "storage"',
      ]);
      for (const each of mine) expectRejected(await by(each).get('/me'));
      expect((await client(booted.origin, as({ id: 'bob' })).get('/sessions')).body.items).toEqual([]);
      expect(await isAccepted(other)).toBe(true);
      expect(await isAccepted(await signIn())).toBe(true);
      const [event] = await booted.db.manager.findBy(AuditEvent, { target: 'user:bob' });
      expect(event).toMatchObject({
        event: 'authn_token_revoked',
        userId: 'bob',
        details: { everywhere: true },
      });
    });

    it('rejects the cookie after all sign-ins of the account were ended', async () => {
      const signed = await signIn();
      await booted.db.manager.increment(User, { id: 'bob' }, 'epoch', 1);
      expectRejected(await by(signed).get('/me'));
      // A login that was verified before that, and finished after it, is invalid from the start.
      const late = await signIn();
      await update(late.id, { epoch: (await row(late.id)).epoch - 1 });
      expectRejected(await by(late).get('/me'));
    });

    it('rejects the cookie of an epoch that its account has not reached: no list shows it, and no logout would end it', async () => {
      const early = await signIn();
      await update(early.id, { epoch: (await row(early.id)).epoch + 1 });
      expectRejected(await by(early).get('/me'));
    });

    describe('after the roles of its account changed', () => {
      const become = (roles: User['roles']) => booted.db.manager.update(User, { id: 'bob' }, { roles });

      it('applies the new roles at once and renews the cookie, also on a 403', async () => {
        const signed = await signIn();
        const write = ({ value, token }: Pick<Signed, 'value' | 'token'>) =>
          by({ value, token }).post('/documents', { title: 'by an editor' });
        const renewedBy = (response: TestResponse) => {
          expect(setCookies(response)).toHaveLength(1);
          return { ...signed, value: valueIn(setCookies(response)[0]) };
        };
        await become(['viewer']);
        const rejection = await write(signed);
        expect(rejection.status).toBe(403);
        const renewed = renewedBy(rejection);
        await become(['editor']);
        const done = await write(renewed);
        expect(done.status).toBe(201);
        const again = renewedBy(done);
        expect(new Set([signed.value, renewed.value, again.value]).size).toBe(3);
        const quiet = await write(again);
        expect([quiet.status, setCookies(quiet)]).toEqual([201, []]);
        expect(await events(signed.id)).toEqual(['session_created', 'session_renewed', 'session_renewed']);
      });

      it('accepts several concurrent requests, and renews the cookie in one response', async () => {
        const signed = await signIn();
        await become(['viewer']);
        const responses = await Promise.all(Array.from({ length: 8 }, () => by(signed).get('/me')));
        await become(['editor']);
        for (const { status, body } of responses) expect([status, body.roles]).toEqual([200, ['viewer']]);
        expect(responses.flatMap(setCookies)).toHaveLength(1);
        expect(await events(signed.id)).toEqual(['session_created', 'session_renewed']);
      });

      it('renews once when two requests carry the same cookie', async () => {
        const signed = await signIn();
        const { body: bob } = await by(signed).get('/me');
        const sessions = booted.app.get(SessionService, { strict: false });
        const setHeader = jest.fn();
        const renew = () =>
          sessions.renew(signed.id, hashSessionValue(signed.value), bob as Principal, { setHeader } as never);
        await renew();
        const { idHash } = await row(signed.id);
        await renew();
        expect((await row(signed.id)).idHash).toBe(idHash);
        expect(setHeader).toHaveBeenCalledTimes(1);
        expect(await events(signed.id)).toEqual(['session_created', 'session_renewed']);
      });

      it('accepts the previous cookie for ten seconds, manages nothing with it, and does not renew it', async () => {
        const signed = await signIn();
        await update(signed.id, { roles: [] });
        const renewed = { ...signed, value: valueIn(setCookies(await by(signed).get('/me'))[0]) };
        const { previousUntil } = await row(signed.id);
        expect(previousUntil!.getTime()).toBeGreaterThan(Date.now());
        expect(previousUntil!.getTime()).toBeLessThanOrEqual(Date.now() + 10_000);
        await update(signed.id, { roles: [] });
        const before = await by(signed).get('/me');
        expect([before.status, setCookies(before)]).toEqual([200, []]);
        for (const [method, path] of [
          ['GET', '/sessions'],
          ['DELETE', '/sessions'],
        ] as const)
          expect(await by(signed).send(method, path)).toMatchObject({
            status: 403,
            body: { code: 'limited_credential' },
          });
        await update(signed.id, { previousUntil: new Date() });
        expectRejected(await by(signed).get('/me'));
        expect(await isAccepted(renewed)).toBe(true);
      });

      it('rejects the previous cookie after a logout', async () => {
        const signed = await signIn();
        await update(signed.id, { roles: [] });
        const renewed = { ...signed, value: valueIn(setCookies(await by(signed).get('/me'))[0]) };
        await by(renewed).post('/auth/logout');
        expectRejected(await by(signed).get('/me'));
      });
    });

    it('rejects a disabled account on the next request', async () => {
      const signed = await signIn({ id: 'dave' });
      await booted.db.manager.update(User, { id: 'dave' }, { disabledAt: new Date() });
      expectRejected(await by(signed).get('/me'));
      await booted.db.manager.update(User, { id: 'dave' }, { disabledAt: null });
    });

    it('keeps the newest 20 sessions of 25 concurrent logins', async () => {
      const first = await signIn({ id: 'alice' });
      const others = await Promise.all(Array.from({ length: 25 }, () => signIn({ id: 'alice' })));
      const alive = await Promise.all(others.map(isAccepted));
      expect(alive.filter(Boolean)).toHaveLength(MAX_SESSIONS_PER_USER);
      expectRejected(await by(first).get('/me'));
      expect(await events(first.id)).toEqual(['session_created', 'session_expired: replaced']);
      const listed = await client(booted.origin, as({ id: 'alice' })).get('/sessions');
      expect(listed.body.items).toHaveLength(MAX_SESSIONS_PER_USER);
    });

    it('rejects ids, tokens, keys and hashes as a cookie', async () => {
      const signed = await signIn();
      const { body } = await by(signed).post('/api-keys', { name: 'x' });
      for (const value of [signed.id, signed.token, body.key, hashSessionValue(signed.value), 'bob'])
        expectRejected(await by({ value, token: signed.token }).get('/me'));
    });

    describe('cross-site request forgery', () => {
      /** A write with the headers of a browser; `null` removes a header. */
      const write = async (signed: Signed, changes: Record<string, string | null>) => {
        const before = await documentsOf(signed);
        const headers = {
          Cookie: `${NAME}=${signed.value}`,
          'X-CSRF-Token': signed.token,
          ...SAME_ORIGIN,
          ...changes,
        };
        const sent = Object.fromEntries(
          Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== null),
        );
        const response = await client(booted.origin, sent).post('/documents', {
          title: 'forged',
        });
        expect((await documentsOf(signed)) - before).toBe(response.status === 201 ? 1 : 0);
        return [response.status, response.body.code];
      };

      it('rejects a write without a same-origin header or without the CSRF token', async () => {
        const signed = await signIn();
        for (const good of [{}, { Origin: null }, { 'Sec-Fetch-Site': null }] as Record<string, null>[])
          expect(await write(signed, good)).toEqual([201, undefined]);
        for (const bad of [
          { Origin: null, 'Sec-Fetch-Site': null },
          { 'Sec-Fetch-Site': 'cross-site' },
          { 'Sec-Fetch-Site': 'same-site' },
          { 'Sec-Fetch-Site': 'none' },
          { 'Sec-Fetch-Site': 'cross-site', Origin: null },
          { 'Sec-Fetch-Site': 'Same-Origin' },
          { 'X-CSRF-Token': null },
          { 'X-CSRF-Token': '' },
          { 'X-CSRF-Token': `${signed.token}x` },
          { 'X-CSRF-Token': (await signIn()).token },
          { 'X-CSRF-Token': signed.value },
        ] as Record<string, string | null>[])
          expect(await write(signed, bad)).toEqual([403, 'invalid_csrf_token']);
      });

      it('accepts the CSRF token as exactly one field of a form, without a header', async () => {
        const signed = await signIn();
        const { token } = signed;
        const post = async (body: string, headers: Record<string, string> = {}) => {
          const response = await client(booted.origin, {
            Cookie: `${NAME}=${signed.value}`,
            ...SAME_ORIGIN,
          }).send('POST', '/form', {
            body,
            headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
          });
          return [response.status, response.body.code];
        };
        expect(await post(`name=x&csrf_token=${token}`)).toEqual([200, undefined]);
        const other = (await signIn()).token;
        for (const body of [
          'name=x',
          'csrf_token=',
          `csrf_token=${token}x`,
          `csrf_token=${other}`,
          `csrf_token=${token}&csrf_token=${token}`,
          `csrf_token=${other}&csrf_token=${token}`,
          `csrf_token[]=${token}`,
          `CSRF_TOKEN=${token}`,
          JSON.stringify({ csrf_token: token }),
        ])
          expect([body, ...(await post(body))]).toEqual([body, 403, 'invalid_csrf_token']);
        const json = { 'Content-Type': 'application/json' };
        for (const body of [{ csrf_token: token }, { a: `&csrf_token=${token}&` }])
          expect(await post(JSON.stringify(body), json)).toEqual([403, 'invalid_csrf_token']);
        const good = `csrf_token=${token}`;
        for (const headers of [
          { 'X-CSRF-Token': other },
          { 'X-CSRF-Token': '' },
          { Origin: 'https://evil.example' },
          { 'Sec-Fetch-Site': 'cross-site' },
        ] as Record<string, string>[])
          expect(await post(good, headers)).toEqual([403, 'invalid_csrf_token']);
        expect((await client(booted.origin).get(`/form?csrf_token=${token}`)).status).toBe(405);
        const { status } = await client(booted.origin, {
          Cookie: `${NAME}=${signed.value}`,
          ...SAME_ORIGIN,
        }).post(`/form?csrf_token=${token}`, {});
        expect(status).toBe(403);
        expect(booted.app.get(FormRoute, { strict: false }).calls).toBe(1);
      });

      it('rejects every Origin that is not exactly the public URL', async () => {
        const signed = await signIn();
        for (const Origin of [
          'null',
          '',
          'https://evil.example',
          'https://evil-atlas.example',
          'https://atlas.example.evil.example',
          'https://sub.atlas.example',
          'http://atlas.example',
          'https://atlas.example:8443',
          'https://atlas.example/',
          'https://ATLAS.example',
          'atlas.example',
        ])
          for (const site of [null, 'same-origin'])
            expect(await write(signed, { Origin, 'Sec-Fetch-Site': site })).toEqual([
              403,
              'invalid_csrf_token',
            ]);
      });

      it('accepts the loopback origins of the port in development', async () => {
        const signed = await signIn();
        for (const Origin of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000']) {
          expect(await write(signed, { Origin })).toEqual([201, undefined]);
          expect((await start({}, { ...SAME_ORIGIN, Origin })).status).toBe(200);
          expect(await write(signed, { Origin, 'Sec-Fetch-Site': 'cross-site' })).toEqual([
            403,
            'invalid_csrf_token',
          ]);
        }
        for (const Origin of ['http://localhost:3001', 'https://localhost:3000'])
          expect(await write(signed, { Origin })).toEqual([403, 'invalid_csrf_token']);
      });

      it('requires the CSRF token for every method but GET, HEAD and OPTIONS', async () => {
        const { value } = await signIn();
        const bare = client(booted.origin, { Cookie: `${NAME}=${value}` });
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
          const path =
            method === 'POST' ? '/documents' : method === 'PUT' ? '/documents/x/shares/bob' : '/documents/x';
          expect((await bare.send(method, path, { body: {} })).body.code).toBe('invalid_csrf_token');
        }
        expect((await bare.get('/me')).status).toBe(200);
        expect((await bare.send('HEAD', '/me')).status).toBe(200);
      });

      it('rejects the content types that a form can send', async () => {
        const signed = await signIn();
        const before = await documentsOf(signed);
        for (const type of [
          'text/plain',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
          'text/plain; application/json',
        ]) {
          const { status, body } = await by(signed).send('POST', '/documents', {
            body: '{"title":"forged"}',
            headers: { 'Content-Type': type },
          });
          expect([status, body.code]).toEqual([415, 'unsupported_media_type']);
        }
        const untyped = await client(booted.origin).raw(
          'POST /documents HTTP/1.1',
          'Host: atlas.example',
          `Cookie: ${NAME}=${signed.value}`,
          `X-CSRF-Token: ${signed.token}`,
          `Origin: ${ORIGIN}`,
          'Content-Length: 18',
          'Connection: close',
          '',
          '{"title":"forged"}',
        );
        expect(untyped).toMatch(/^HTTP\/1\.1 415 /);
        expect(await documentsOf(signed)).toBe(before);
      });

      it('ignores method override headers and parameters', async () => {
        const signed = await signIn();
        const { body } = await by(signed).post('/documents', { title: 'stays' });
        const path = `/documents/${body.id as string}`;
        const bare = client(booted.origin, { Cookie: `${NAME}=${signed.value}` });
        const override = {
          'X-HTTP-Method-Override': 'DELETE',
          'X-HTTP-Method': 'DELETE',
          'X-Method-Override': 'DELETE',
        };
        for (const method of ['GET', 'HEAD']) await bare.send(method, path, { headers: override });
        await bare.get(`${path}?_method=DELETE`);
        const posted = await bare.send('POST', path, { headers: override, body: { _method: 'DELETE' } });
        expect([404, 405]).toContain(posted.status);
        for (const get of ['/sessions', `/sessions/${signed.id}`, '/auth/logout']) await bare.get(get);
        expect((await by(signed).get(path)).status).toBe(200);
      });

      it('rejects a login from another site, and accepts one without browser headers', async () => {
        for (const headers of [
          { 'Sec-Fetch-Site': 'cross-site' },
          { 'Sec-Fetch-Site': 'same-site' },
          { Origin: 'https://evil.example' },
          { Origin: 'null' },
          { ...SAME_ORIGIN, 'Sec-Fetch-Site': 'cross-site' },
          { ...SAME_ORIGIN, Origin: 'https://evil.example' },
        ] as Record<string, string>[]) {
          const response = await start({}, headers);
          expect([response.status, response.body.code, setCookies(response)]).toEqual([
            403,
            'invalid_csrf_token',
            [],
          ]);
        }
        for (const headers of [{}, SAME_ORIGIN, { 'Sec-Fetch-Site': 'none' }] as Record<string, string>[])
          expect((await start({}, headers)).status).toBe(200);
      });

      it('keeps the existing session when another site sends a login', async () => {
        const signed = await signIn();
        await start({ id: 'mallory' }, { Cookie: `${NAME}=${signed.value}`, 'Sec-Fetch-Site': 'cross-site' });
        expect(await isAccepted(signed)).toBe(true);
      });
    });

    it('prefers an explicit credential over the cookie, and never falls back to it', async () => {
      const signed = await signIn({ id: 'alice' });
      const cookie = { Cookie: `${NAME}=${signed.value}` };
      const both = client(booted.origin, { ...cookie, ...as({ id: 'carol', roles: ['viewer'] }) });
      expect((await both.get('/me')).body.id).toBe('carol');
      const before = await documentsOf(signed);
      for (const Authorization of [
        'Bearer junk',
        'Basic junk',
        'ApiKey junk',
        'Cookie junk',
        'Junk',
        'Test x',
      ]) {
        const mixed = client(booted.origin, { ...cookie, Authorization });
        for (const response of [
          await mixed.get('/me'),
          await mixed.post('/documents', { title: 'forged' }),
          await mixed.send('DELETE', '/sessions'),
        ]) {
          expect(response.status).toBe(401);
          expect(response.body.code).not.toBe('invalid_session');
        }
      }
      expect(await documentsOf(signed)).toBe(before);
      expect(
        (await client(booted.origin, { ...cookie, Authorization: 'Junk' }).get('/demo/session')).status,
      ).toBe(401);
    });

    it('ignores a session value in the URL', async () => {
      const { value } = await signIn();
      for (const path of [
        `/me?${NAME}=${value}`,
        `/me?sid=${value}`,
        `/me?session=${value}`,
        `/me;jsessionid=${value}`,
        `/me;${NAME}=${value}`,
      ]) {
        const response = await client(booted.origin).get(path);
        expect([401, 404]).toContain(response.status);
        expect(JSON.stringify(response.body)).not.toContain(value);
      }
    });
  });
});
