import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { AdapterFactory } from '../../src/authorization-server/storage/adapter-factory.service.js';
import { recordSecretBox } from '../../src/authorization-server/storage/oauth-records.service.js';
import { RecordAdapter } from '../../src/authorization-server/storage/record-adapter.js';
import { Settings } from '../../src/config/settings.js';
import { OauthRecord } from '../../src/authorization-server/storage/oauth-record.entity.js';
import { withRequestState } from '../../src/authorization-server/provider/provider-request.js';
import { boot, type Booted } from '../support/app.js';
import { Browser, signIn, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';
import { DEVICE_CODE } from './wire.js';

const SECRET = 'oauth-browser-dev';
const ENDED = 'This sign-in has ended, or it was started in another browser.';
const STARTED_ELSEWHERE = { status: 404, code: 'interaction_not_found', says: ENDED };

const seen = ({ status, text }: Page) => ({
  status,
  code: /<p class="code">(.*)<\/p>/.exec(text)?.[1],
  says: /<p role="alert">(.*)<\/p>/.exec(text)?.[1],
});

describe('the binding of a sign-in to one browser', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    booted = await boot({ publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());

  let attacker: Browser;
  let victim: Browser;
  beforeEach(async () => {
    [attacker, victim] = [new Browser(booted.origin), new Browser(booted.origin)];
    await booted.db.manager.deleteAll(OauthRecord);
  });

  const secretOf = ({ cookies }: Browser) => cookies.find(({ name }) => name === SECRET)!;
  /** Copies cookies that a sibling host of the same site can set: those without the prefix `__Host-`. */
  const plant = (from: Browser, into: Browser, prefix = 'oauth-interaction') =>
    into.cookies.push(...from.cookies.filter(({ name }) => name.startsWith(prefix)));
  const signInForm = ({ form }: Page, username: string) =>
    new URLSearchParams({
      ...Object.fromEntries(form!.fields),
      ...{ username, password: DEMO_PASSWORD, action: 'sign-in' },
    });
  const submitSignIn = (browser: Browser, page: Page, username = 'bob') =>
    browser.submit(page, { username, password: DEMO_PASSWORD }, 'Sign in');
  const resumeUrl = ({ url }: Page, path = '/oidc/auth') => `${path}/${url.pathname.split('/').at(-1)}`;
  const records = (kind: string) => booted.db.manager.countBy(OauthRecord, { kind });
  const expectNobodySignedIn = async (browser: Browser) => {
    expect(await browser.open(oauth.authorization({ prompt: 'none' }))).toMatchObject({
      search: expect.stringContaining('error=login_required'),
    });
    expect([await records('AuthorizationCode'), await records('Grant')]).toEqual([0, 0]);
  };

  describe('an attacker who plants the cookie of his own interaction', () => {
    it('gets the victim no sign-in page, and himself no session', async () => {
      const started = await attacker.page(oauth.authorization());
      plant(attacker, victim);
      expect(seen(await victim.page(started.url))).toEqual(STARTED_ELSEWHERE);
      // The victim has a page of her own, and submits the attacker's form with a valid form token.
      const form = signInForm(started, 'alice');
      for (const hasSecret of [false, true]) {
        if (hasSecret) await victim.page(oauth.authorization());
        const submitted = await victim.post(started.url, form);
        expect([submitted.status, submitted.headers.get('location')]).toEqual([404, null]);
      }
      const resumed = await attacker.page(resumeUrl(started));
      expect(resumed.form?.buttons[0]?.text).toBe('Sign in');
      await expectNobodySignedIn(attacker);
    });

    it('gets no resumption of a sign-in that the victim completed', async () => {
      const started = await victim.page(oauth.authorization());
      const response = await victim.post(started.url, signInForm(started, 'alice'));
      expect(response.headers.get('location')).toBe(booted.origin + resumeUrl(started));
      for (const ownSecret of [false, true]) {
        if (ownSecret) await attacker.page(oauth.authorization());
        plant(victim, attacker, 'oauth-resume');
        expect(seen(await attacker.page(resumeUrl(started)))).toEqual({ ...STARTED_ELSEWHERE, status: 400 });
        attacker.cookies = [];
      }
      await expectNobodySignedIn(attacker);
      const consent = await victim.page(resumeUrl(started));
      expect(consent.text).toContain('You are signed in as <strong>alice</strong>');
    });

    it('cannot sign the victim in as himself', async () => {
      const started = await attacker.page(oauth.authorization());
      const signedIn = await attacker.post(started.url, signInForm(started, 'mallory'));
      expect(signedIn.status).toBe(303);
      plant(attacker, victim, 'oauth-resume');
      expect(seen(await victim.page(resumeUrl(started)))).toEqual({ ...STARTED_ELSEWHERE, status: 400 });
      await expectNobodySignedIn(victim);
    });

    it('cannot let the victim consent', async () => {
      const consent = (await submitSignIn(
        attacker,
        await attacker.page(oauth.authorization()),
        'mallory',
      )) as Page;
      expect(consent.form?.buttons[0]?.text).toBe('Allow');
      plant(attacker, victim);
      await signIn(booted, oauth.authorization(), 'alice', { browser: victim });
      expect(seen(await victim.page(consent.url))).toEqual(STARTED_ELSEWHERE);
      expect(seen(await victim.page(`${consent.url.href}?as=other`))).toEqual(STARTED_ELSEWHERE);
    });

    it('connects no device of his', async () => {
      const { body } = await oauth.post('/device/auth', { client_id: 'device', scope: 'openid' });
      const { user_code, device_code } = body as { user_code: string; device_code: string };
      const confirm = (await attacker.submit(await attacker.page('/oidc/device'), { user_code })) as Page;
      const started = (await attacker.submit(confirm)) as Page;
      expect(started.form?.buttons[0]?.text).toBe('Sign in');
      plant(attacker, victim);
      expect(seen(await victim.page(started.url))).toEqual(STARTED_ELSEWHERE);
      plant(attacker, victim, 'oauth-resume');
      const resumed = await victim.page(resumeUrl(started, '/oidc/device'));
      expect(resumed.status).toBe(400);
      expect(resumed.text).toContain(ENDED);
      const polled = await oauth.post('/token', {
        grant_type: DEVICE_CODE,
        client_id: 'device',
        device_code,
      });
      expect([polled.status, polled.body.error]).toEqual([400, 'authorization_pending']);
    });

    it('signs nobody out', async () => {
      await signIn(booted, oauth.authorization(), 'alice', { browser: victim });
      const question = await attacker.page('/oidc/session/end');
      const fields = new URLSearchParams(question.form!.fields as unknown as string[][]);
      fields.append('logout', 'yes');
      const answer = await victim.post(question.form!.action, fields);
      expect(answer.status).toBe(400);
      expect(await victim.open(oauth.authorization({ prompt: 'none' }))).toMatchObject({
        search: expect.stringContaining('code='),
      });
    });
  });

  describe('the secret', () => {
    it('is a new random value in each browser, and one for all tabs of a browser', async () => {
      const tabs = [await victim.page(oauth.authorization()), await victim.page(oauth.authorization())];
      const { value } = secretOf(victim);
      expect(value).toMatch(/^[\w-]{43}$/);
      await attacker.page(oauth.authorization());
      expect(secretOf(attacker).value).not.toBe(value);
      expect(victim.cookies.filter(({ name }) => name === SECRET)).toHaveLength(1);
      const results: URL[] = [];
      for (const tab of tabs.toReversed()) {
        const next = await submitSignIn(victim, tab);
        results.push(
          next instanceof URL ? next : (await signIn(booted, next.url, 'bob', { browser: victim })).callback,
        );
      }
      for (const { searchParams } of results) {
        const { status, body } = await oauth.redeem(searchParams.get('code') ?? '');
        expect([status, claimsOf(body.id_token)['sub']]).toEqual([200, 'bob']);
      }
    });

    it('is stored only as a digest, with the interaction', async () => {
      const started = await victim.page(oauth.authorization());
      const { value } = secretOf(victim);
      const uid = started.url.pathname.split('/').at(-1)!;
      const { db } = booted;
      const row = await db.manager.findOneByOrFail(OauthRecord, { kind: 'Interaction' });
      expect(JSON.stringify(row)).not.toContain(value);
      const interactions = booted.app.get(AdapterFactory, { strict: false }).create('Interaction');
      expect(await withRequestState(value, () => interactions.find(uid) as Promise<object>)).toMatchObject({
        jti: uid,
      });
      for (const other of ['x'.repeat(43), createHash('sha256').update(value).digest('base64url')])
        expect(
          await withRequestState(other, () => interactions.find(uid) as Promise<undefined>),
        ).toBeUndefined();
      await expect(
        withRequestState(undefined, () => interactions.find(uid) as Promise<undefined>),
      ).rejects.toThrow('This request has no secret of a browser.');
    });

    it.each([
      ['missing', () => []],
      ['empty', () => ['']],
      ['altered', (value: string) => [value.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))]],
      ['longer', (value: string) => [`${value}x`]],
      ['in another case', (value: string) => [value.toLowerCase()]],
      ['of another browser', () => ['x'.repeat(43)]],
    ])('ends the sign-in if it is %s', async (_, values: (value: string) => string[]) => {
      const started = await victim.page(oauth.authorization());
      const own = secretOf(victim);
      const others = victim.cookies.filter(({ name }) => name !== SECRET);
      victim.cookies = [...others, ...values(own.value).map((value) => ({ ...own, value }))];
      expect(seen(await victim.page(started.url))).toEqual(STARTED_ELSEWHERE);
      expect(seen(await victim.page(resumeUrl(started)))).toEqual({ ...STARTED_ELSEWHERE, status: 400 });
    });

    it.each([
      ['two secrets', SECRET, (value: string) => [value, 'x'.repeat(43)]],
      ['two secrets in the other order', SECRET, (value: string) => ['x'.repeat(43), value]],
      ['the secret twice', SECRET, (value: string) => [value, value]],
      ['two sessions', 'oauth-session-dev', (value: string) => [value, 'x'.repeat(43)]],
    ])('is rejected with %s', async (_, name, values: (value: string) => string[]) => {
      await victim.page('/oidc/device');
      const started = await victim.page(oauth.authorization());
      const own = victim.cookies.find((cookie) => cookie.name === name)!;
      const others = victim.cookies.filter((cookie) => cookie !== own);
      victim.cookies = [...others, ...values(own.value).map((value) => ({ ...own, value }))];
      const twice = { status: 400, code: 'duplicate_cookie', says: `The cookie ${name} came twice.` };
      for (const url of [started.url, resumeUrl(started), oauth.authorization(), '/oidc/device'])
        expect(seen(await victim.page(url))).toEqual(twice);
      expect(await records('Interaction')).toBe(1);
    });

    it('lives as long as an interaction, and no longer', async () => {
      const lineOf = async (cookie?: string) => {
        const response = await fetch(oauth.authorization(), {
          redirect: 'manual',
          headers: { ...(cookie && { Cookie: cookie }) },
        });
        return response.headers.getSetCookie().filter((line) => line.startsWith(SECRET));
      };
      const [first, ...more] = await lineOf();
      expect(more).toEqual([]);
      expect(first).toMatch(/^oauth-browser-dev=[\w-]{43}; path=\/; expires=[^;]+; samesite=lax; httponly$/i);
      const minutes = (Date.parse(/expires=([^;]+)/.exec(first!)![1]!) - Date.now()) / 60_000;
      expect(Math.round(minutes)).toBe(10);
      const [again] = await lineOf(first!.split(';')[0]);
      expect(again!.split(';')[0]).toBe(first!.split(';')[0]);
    });

    it('has the prefix __Host- over HTTPS', async () => {
      const secure = await boot({ env: { PUBLIC_URL: 'https://auth.example' } });
      try {
        const response = await fetch(`${secure.origin}/oidc/auth${oauth.authorization().search}`, {
          redirect: 'manual',
        });
        const [line] = response.headers.getSetCookie().filter((each) => each.includes('oauth-browser'));
        expect(line).toMatch(
          /^__Host-oauth-browser=[\w-]{43}; path=\/; expires=[^;]+; samesite=lax; secure; httponly$/i,
        );
      } finally {
        await secure.close();
      }
    });
  });

  it('ends a sign-in that began before the server stored bindings', async () => {
    const started = await victim.page(oauth.authorization());
    const uid = started.url.pathname.split('/').at(-1)!;
    const box = recordSecretBox(booted.app.get(Settings));
    const earlier = new RecordAdapter('Interaction', booted.db, box);
    const { browser: binding, ...payload } = (await earlier.find(uid)) as Record<string, unknown>;
    expect(binding).toMatch(/^[\w-]{43}$/);
    await earlier.upsert(uid, payload, 600);
    expect(seen(await victim.page(started.url))).toEqual(STARTED_ELSEWHERE);
    expect(seen(await victim.page(resumeUrl(started)))).toEqual({ ...STARTED_ELSEWHERE, status: 400 });
    const { callback } = await signIn(booted, oauth.authorization(), 'bob', { browser: victim });
    expect(callback.searchParams.has('code')).toBe(true);
  });
});
