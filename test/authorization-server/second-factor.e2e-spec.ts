import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { BadCredential } from '../../src/authentication/challenge.js';
import type { AuthMethod, Factor, FactorResponse } from '../../src/authentication/method.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { User } from '../../src/users/user.entity.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { as, boot, client, testMethod, type Booted } from '../support/app.js';
import { mfaTicket } from '../support/second-step.js';
import { Browser, signIn, type Page } from './browser.js';
import { claimsOf, oauthAt } from './flows.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    'recovery-code': true;
  }
}

/** A second factor of alice and bob, whose only code is `correct`. It replaces a removable one. */
@Injectable()
class TestFactor implements Factor {
  readonly responseField = 'code';
  isEnrolled = async (_manager: object, id: string) => id === 'alice' || id === 'bob';
  async verify(_id: string, { code }: FactorResponse) {
    if (code !== 'correct') throw new BadCredential('invalid_factor', 'wrong code');
    return { amr: ['otp'] };
  }
}
@Module({ providers: [TestFactor], exports: [TestFactor] })
class TestFactorModule {}
const NAME = 'recovery-code';
const testFactor = { name: NAME, module: TestFactorModule, factor: TestFactor } satisfies AuthMethod;

describe('the pages of the authorization server, for an account with a second factor', () => {
  let booted: Booted;
  let oauth: ReturnType<typeof oauthAt>;
  beforeAll(async () => {
    const others = INSTALLED_METHODS.filter(({ factor, strategy }) => strategy || !factor);
    booted = await boot({ methods: [...others, testFactor, testMethod], publicUrlIsOrigin: true });
    oauth = oauthAt(booted.origin);
  });
  afterAll(() => booted.close());
  beforeEach(async () => {
    await booted.db.sql`DELETE FROM login_failures`;
    await booted.db.manager.update(User, [{ id: 'alice' }, { id: 'bob' }], { mfaSince: new Date() });
  });

  const request = (more: Record<string, string> = {}) =>
    oauth.authorization({ scope: 'openid documents:read', ...more });
  const isSecondStep = (there: Page | URL) =>
    !(there instanceof URL) && there.text.includes('Confirm that it is you');
  const errorAt = (there: Page | URL) => (there instanceof URL ? there.searchParams.get('error') : undefined);
  /** The page of the second step, after the password. */
  async function secondStep(
    more: Record<string, string> = {},
    username = 'bob',
    browser = new Browser(booted.origin),
  ) {
    const page = await browser.page(request(more));
    const next = (await browser.submit(page, { username, password: DEMO_PASSWORD }, 'Sign in')) as Page;
    return { browser, page: next };
  }
  /** The ID token of a sign-in with both factors. */
  async function signInWithBoth(more: Record<string, string> = {}, browser = new Browser(booted.origin)) {
    const { page } = await secondStep(more, 'bob', browser);
    const consent = await browser.submit(page, { code: 'correct' });
    const callback = (consent instanceof URL ? consent : await browser.submit(consent, {}, 'Allow')) as URL;
    const { body } = await oauth.redeem(callback.searchParams.get('code') ?? '');
    return { browser, tokens: body as { id_token: string; access_token: string } };
  }

  it('ask for it after the password, and report both factors to the application', async () => {
    const { page } = await secondStep();
    expect([page.status, isSecondStep(page)]).toEqual([200, true]);
    expect(page.text).toContain('autocomplete="one-time-code"');
    const { tokens } = await signInWithBoth();
    expect(claimsOf(tokens.access_token)).toMatchObject({ acr: 'mfa', amr: ['pwd', 'otp', 'mfa'] });
  });

  it('let the person try again after a wrong code, and block the account after five', async () => {
    const { browser, page } = await secondStep();
    let current = page;
    for (let i = 0; i < 5; i++) {
      current = (await browser.submit(current, { code: 'wrong' })) as Page;
      expect([current.status, isSecondStep(current)]).toEqual([422, true]);
      expect(current.text).toContain('This is not correct, or it was used before.');
    }
    expect(((await browser.submit(current, { code: 'correct' })) as Page).status).toBe(429);
  });

  it('do not continue without it', async () => {
    const { browser } = await secondStep();
    const again = await browser.page(request());
    expect(again.text).toContain('>Sign in</h1>');
    expect(errorAt(await browser.open(request({ prompt: 'none' })))).toBe('login_required');
  });

  it('accept the ticket of this sign-in only, once', async () => {
    const { browser, page } = await secondStep();
    const [mine = ''] = page.form!.fields.flatMap(([name, value]) => (name === 'mfa_token' ? [value] : []));
    const ofApi = await mfaTicket(booted, 'bob', booted.app.get(IssuerRegistry).names[0]!);
    for (const mfa_token of ['', 'x', ofApi]) {
      const rejected = (await browser.submit(page, { mfa_token, code: 'correct' })) as Page;
      expect([rejected.status, rejected.text.includes('>Sign in</h1>')]).toEqual([422, true]);
    }
    const api = client(booted.origin);
    const { status, body } = await api.post('/auth/mfa', { mfa_token: mine, factor: NAME, code: 'correct' });
    expect([status, body.code]).toEqual([401, 'invalid_mfa_token']);
    expect(isSecondStep(await browser.submit(page, { code: 'correct' }))).toBe(false);
  });

  it('let an OAuth client satisfy the challenge of a deletion (RFC 9470)', async () => {
    const scope = 'openid documents:read documents:write documents:delete';
    const owner = client(booted.origin, as({ id: 'alice', roles: ['admin'] }));
    const { body, headers } = await owner.post('/documents', { title: 'x', classification: 'confidential' });
    const remove = (token: string) =>
      client(booted.origin, { Authorization: `Bearer ${token}` }).send('DELETE', `/documents/${body.id}`, {
        headers: { 'If-Match': headers.get('etag')! },
      });
    await booted.db.manager.update(User, { id: 'alice' }, { mfaSince: null });
    const { callback, browser } = await signIn(booted, request({ scope }), 'alice');
    const first = (await oauth.redeem(callback.searchParams.get('code') ?? '')).body as {
      access_token: string;
    };
    const challenged = await remove(first.access_token);
    expect([challenged.status, challenged.body.code]).toEqual([401, 'insufficient_user_authentication']);
    const [, acr_values = '', max_age = ''] =
      /acr_values="(\w+)", max_age="(\d+)"/.exec(challenged.headers.get('www-authenticate') ?? '') ?? [];
    expect([acr_values, max_age]).toEqual(['mfa', '300']);

    await booted.db.manager.update(User, { id: 'alice' }, { mfaSince: new Date() });
    const { page } = await secondStep({ scope, acr_values, max_age }, 'alice', browser);
    const next = await browser.submit(page, { code: 'correct' });
    const back = (next instanceof URL ? next : await browser.submit(next, {}, 'Allow')) as URL;
    const second = (await oauth.redeem(back.searchParams.get('code') ?? '')).body as { access_token: string };
    expect((await remove(second.access_token)).status).toBe(204);
  });

  describe('with acr_values or an essential acr', () => {
    const essential = (value: string) => JSON.stringify({ id_token: { acr: { essential: true, value } } });

    it('sign in with the requested factors', async () => {
      for (const more of [{ acr_values: 'mfa' }, { claims: essential('mfa') }] as Record<string, string>[]) {
        const { tokens } = await signInWithBoth(more);
        expect(claimsOf(tokens.id_token)['acr']).toBe('mfa');
      }
      const { tokens } = await signInWithBoth({ claims: essential('pwd') });
      expect(claimsOf(tokens.id_token)['acr']).toBe('pwd');
    });

    it('use a session that reaches it, and ask again with max_age', async () => {
      const { browser } = await signInWithBoth();
      expect(await browser.open(request({ acr_values: 'mfa' }))).toBeInstanceOf(URL);
      const page = await browser.page(request({ acr_values: 'mfa', prompt: 'login' }));
      expect(page.text).toContain('>Sign in</h1>');
    });

    it('send an error to the client if the account has no such factor', async () => {
      for (const more of [
        { acr_values: 'mfa' },
        { acr_values: 'phr' },
        { claims: essential('mfa') },
      ] as Record<string, string>[]) {
        const { callback } = await signIn(booted, request(more), 'carol');
        expect(errorAt(callback)).toBe('unmet_authentication_requirements');
        expect(callback.searchParams.get('state')).toBe('of the application');
      }
    });

    it('ask for a sign-in if the session does not reach it', async () => {
      const { browser } = await signIn(booted, request(), 'carol');
      expect(errorAt(await browser.open(request({ acr_values: 'mfa', prompt: 'none' })))).toBe(
        'login_required',
      );
      expect((await browser.page(request({ acr_values: 'mfa' }))).text).toContain('>Sign in</h1>');
    });
  });
});
