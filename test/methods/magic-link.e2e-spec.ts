import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { MailService } from '../../src/mail/mail.service.js';
import { Mailbox } from '../../src/mail/mailbox.service.js';
import { codeRequest, mailRequest } from '../../src/methods/magic-link/magic-link.client.js';
import { MagicLink } from '../../src/methods/magic-link/magic-link.entity.js';
import * as magicLink from '../../src/methods/magic-link/index.js';
import { PendingSignIns } from '../../src/methods/magic-link/magic-link.pending-sign-ins.service.js';
import { newCode, parseCode } from '../../src/methods/magic-link/magic-link.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { boot, client, testMethod, type Booted, type TestResponse } from '../support/app.js';
import { TestCookieIssuer, testCookieIssuer, testIssuer, withTestToken } from '../support/test-issuer.js';

const PUBLIC_URL = 'https://atlas.example';
const COOKIE = '__Host-magic-link';
const HTML = { Accept: 'text/html' };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

interface SentMail {
  readonly code: string;
  readonly token: string;
  /** The cookie that binds the link to its browser. */
  readonly cookie: string;
}

describe('magic-link', () => {
  let booted: Booted;
  let mailbox: Mailbox;
  let log = '';
  beforeAll(async () => {
    booted = await boot({
      methods: [magicLink, testIssuer, testCookieIssuer, testMethod],
      env: { PUBLIC_URL },
      logTo: { write: (line) => void (log += line) },
    });
    mailbox = booted.app.get(Mailbox, { strict: false });
  });
  afterAll(() => booted.close());
  afterEach(() => booted.db.sql`DELETE FROM login_failures`);

  let nextUser = 0;
  /** Creates an account with a verified address, for one test. */
  const someone = async (own: Partial<User> & Partial<Pick<UserEmail, 'verifiedAt'>> = {}) => {
    const { verifiedAt = new Date(), ...more } = own;
    const id = `someone-${nextUser++}`;
    const user = { id, username: id, tenantId: 'acme', kind: 'user' as const, roles: ['editor' as const] };
    const rest = { name: null, disabledAt: null, mfaSince: null, epoch: 0 };
    await booted.db.manager.insert(User, { ...user, ...rest, ...more });
    const email = `${id}@acme.example`;
    await booted.db.manager.insert(UserEmail, { userId: id, address: email, verifiedAt });
    return { id, email };
  };

  const anonymous = () => client(booted.origin);
  const request = (email: string, more: object = {}, headers: Record<string, string> = {}) =>
    client(booted.origin, headers).post('/auth/magic-link', { email, as: 'test-cookie-issuer', ...more });
  const mailsTo = async (email: string) => {
    await booted.app.get(MailService, { strict: false }).flush();
    return mailbox.list(email);
  };
  const cookieOf = ({ headers }: TestResponse) =>
    new RegExp(`^(${COOKIE}=[\\w-]{43}); Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600$`).exec(
      headers.getSetCookie().join(),
    )?.[1] ?? '';
  /** Requests a mail and reads it. */
  const mailFor = async (email: string, more: object = {}): Promise<SentMail> => {
    const response = await request(email, more);
    expect(response.status).toBe(202);
    const [mail] = await mailsTo(email);
    const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text) ?? [];
    const [, token = ''] = /\?token=([\w-]{43})$/m.exec(mail!.text) ?? [];
    return { code, token, cookie: cookieOf(response) };
  };
  const open = (token: string, cookie?: string, method = 'GET') =>
    client(booted.origin, { ...HTML, ...(cookie && { Cookie: cookie }) }).send(
      method,
      `/auth/magic-link?token=${token}`,
    );
  const press = (token: string, cookie?: string, headers: Record<string, string> = {}) =>
    client(booted.origin).send('POST', '/auth/magic-link/redeem', {
      body: new URLSearchParams({ token }).toString(),
      headers: { ...FORM, ...(cookie && { Cookie: cookie }), ...headers },
    });
  const type = (email: string, code: string, more: object = {}) =>
    anonymous().post('/auth/magic-link/code', { email, code, as: 'test-issuer', ...more });
  const outcome = ({ status, body }: TestResponse) => [status, body.code];
  const INVALID_LINK = [410, 'invalid_magic_link'];
  const INVALID_CODE = [401, 'invalid_code'];
  const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');
  const rows = () => booted.db.manager.find(MagicLink);
  /** The parts of a response that could distinguish two causes. Secrets differ in their value only. */
  const comparable = ({ status, headers, body }: TestResponse) => ({
    status,
    headers: [...headers]
      .filter(([name]) => !['date', 'x-request-id'].includes(name))
      .map(([name, value]) => [name, value.replace(/=[\w-]{43};/, '=…;')]),
    body: { ...body, requestId: '' },
  });

  describe('the link', () => {
    it('signs the requesting browser in, and redirects to the path that it asked for', async () => {
      const { id, email } = await someone();
      const before = Date.now();
      const { token, cookie } = await mailFor(email, { returnTo: '/documents?limit=1' });
      const page = await open(token, cookie);
      expect(page.status).toBe(200);
      expect(page.body).toContain(`<input type="hidden" name="token" value="${token}" />`);
      expect(page.body).toContain('<form method="post" action="/auth/magic-link/redeem">');
      const { status, headers } = await press(token, cookie);
      expect([status, headers.get('location')]).toEqual([303, '/documents?limit=1']);
      const [cleared, issued = ''] = headers.getSetCookie();
      expect(cleared).toBe(`${COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0`);
      const { body } = await client(booted.origin, { Cookie: issued.split(';')[0]! }).get('/me');
      expect(body).toMatchObject({ id, proofs: [{ amr: ['mca'] }] });
      expect(body.scopes).toBeUndefined();
      const { principal } = [...booted.app.get(TestCookieIssuer, { strict: false }).tokens.values()].at(-1)!;
      expect(principal.proofs[0]).toMatchObject({ method: 'magic-link', signIn: true, bound: false });
      expect(principal.proofs[0].at.getTime()).toBeGreaterThanOrEqual(before);
    });

    it('issues the requested scopes only', async () => {
      const { email } = await someone();
      const { token, cookie } = await mailFor(email, { scope: 'documents:read' });
      const { headers } = await press(token, cookie);
      expect(headers.get('location')).toBe('/');
      const issued = headers.getSetCookie().at(-1)!.split(';')[0]!;
      expect((await client(booted.origin, { Cookie: issued }).get('/me')).body.scopes).toEqual([
        'documents:read',
      ]);
    });

    it('is not consumed by a mail scanner that opens it', async () => {
      const { email } = await someone();
      const { token, cookie } = await mailFor(email);
      for (const method of ['HEAD', 'GET', 'HEAD', 'GET']) {
        expect((await open(token, undefined, method)).status).toBe(200);
        expect((await open(token, cookie, method)).status).toBe(200);
      }
      expect((await press(token)).status).toBe(403);
      expect((await press(token, cookie)).status).toBe(303);
    });

    it('does not sign in another browser, and stays valid for the first one', async () => {
      const { email } = await someone();
      const { token, cookie } = await mailFor(email);
      const other = (await mailFor((await someone()).email)).cookie;
      for (const foreign of [undefined, other, `${COOKIE}=`, `${COOKIE}=${token}`, cookie.slice(0, -1)]) {
        const page = await open(token, foreign);
        expect([page.status, page.body.includes('<form')]).toEqual([200, false]);
        expect(page.body).toContain('This link works only in the browser in which you started.');
        const pressed = await press(token, foreign);
        expect([...outcome(pressed), pressed.headers.getSetCookie()]).toEqual([403, 'different_browser', []]);
      }
      const twice = await press(token, `${cookie}; ${other}`);
      expect(outcome(twice)).toEqual([400, 'duplicate_cookie']);
      expect((await press(token, cookie)).status).toBe(303);
    });

    it('works once, also 20 times in parallel', async () => {
      const { email } = await someone();
      const { token, cookie, code } = await mailFor(email);
      const { tokens } = booted.app.get(TestCookieIssuer, { strict: false });
      const before = tokens.size;
      const all = await Promise.all(Array.from({ length: 20 }, () => press(token, cookie)));
      expect(all.filter(({ status }) => status === 303)).toHaveLength(1);
      for (const response of all.filter(({ status }) => status !== 303))
        expect(outcome(response)).toEqual(INVALID_LINK);
      expect(tokens.size).toBe(before + 1);
      expect((await open(token, cookie)).status).toBe(410);
      expect(outcome(await type(email, code))).toEqual(INVALID_CODE);
    });

    it('is used up by one of two processes that have both read it', async () => {
      const { token } = await mailFor((await someone()).email);
      const pending = booted.app.get(PendingSignIns, { strict: false });
      const found = (await pending.findByToken(token))!;
      expect([await pending.use(found), await pending.use(found)]).toEqual([true, false]);
    });

    it('ends with the code of the same mail, and with a newer mail', async () => {
      const { email } = await someone();
      const first = await mailFor(email);
      const second = await mailFor(email);
      expect(outcome(await press(first.token, first.cookie))).toEqual(INVALID_LINK);
      expect(outcome(await press(first.token, second.cookie))).toEqual(INVALID_LINK);
      expect(outcome(await type(email, first.code === second.code ? wrong(first.code) : first.code))).toEqual(
        INVALID_CODE,
      );
      expect((await type(email, second.code)).status).toBe(200);
      expect(outcome(await press(second.token, second.cookie))).toEqual(INVALID_LINK);
    });

    it('is the same error for every text that is no link', async () => {
      const { email } = await someone();
      const { token, cookie } = await mailFor(email);
      for (const text of [
        '',
        'x',
        token.slice(1),
        `${token}=`,
        `${token} `,
        'A'.repeat(43),
        token.toLowerCase(),
      ]) {
        expect((await open(encodeURIComponent(text), cookie)).status).toBe(410);
        expect(outcome(await press(text, cookie))).toEqual(INVALID_LINK);
      }
      for (const path of ['', `?token=${token}&token=${token}`, `?token[]=${token}`, `?TOKEN=${token}`])
        expect((await client(booted.origin, { Cookie: cookie }).get(`/auth/magic-link${path}`)).status).toBe(
          410,
        );
      const json = await client(booted.origin, { Cookie: cookie }).post('/auth/magic-link/redeem', { token });
      expect(json.status).toBe(415);
      expect((await press(token, cookie)).status).toBe(303);
    });

    it('reaches neither the log nor another server, and no cache', async () => {
      const { email } = await someone();
      const { token, cookie, code } = await mailFor(email);
      const { headers } = await open(token, cookie);
      expect(headers.get('referrer-policy')).toBe('strict-origin');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      await press(token, cookie);
      await type(email, code);
      expect(log).toContain('"route":"/auth/magic-link"');
      for (const secret of [token, cookie, email]) expect(log).not.toContain(secret);
    });
  });

  describe('the mail', () => {
    it('has a link of PUBLIC_URL, whatever host the request names', async () => {
      const { email } = await someone();
      const before = (await mailsTo(email)).length;
      const lines = [
        'POST /auth/magic-link HTTP/1.1',
        'Host: evil.example',
        'X-Forwarded-Host: evil.example',
        'X-Forwarded-Proto: http',
        'Forwarded: host=evil.example',
        'Content-Type: application/json',
        'Connection: close',
      ];
      const body = JSON.stringify({ email, as: 'test-cookie-issuer' });
      const raw = await anonymous().raw(...lines, `Content-Length: ${body.length}`, '', body);
      expect(raw).toMatch(/^HTTP\/1\.1 202 /);
      const mails = await mailsTo(email);
      expect(mails).toHaveLength(before + 1);
      expect(mails[0]!.text).toMatch(/^https:\/\/atlas\.example\/auth\/magic-link\?token=[\w-]{43}$/m);
      expect(mails[0]!.text).not.toContain('evil');
      expect(mails[0]!.subject).toBe('Sign in to Auth Atlas');
    });

    it('has no link if the issuer returns a token, which a page would display', async () => {
      const { email } = await someone();
      const { token, code } = await mailFor(email, { as: 'test-issuer' });
      expect([token, (await type(email, code)).status]).toEqual(['', 200]);
      const { status, body } = await request(email, { as: 'test-issuer', returnTo: '/documents' });
      expect([status, body.errors]).toEqual([422, [expect.objectContaining({ field: 'returnTo' })]]);
    });

    it('is found by any spelling of the address', async () => {
      const { email } = await someone();
      expect((await request(` ${email.toUpperCase()}`)).status).toBe(202);
      const [mail] = await mailsTo(email);
      const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text)!;
      expect((await type(`${email.toUpperCase()} `, code)).status).toBe(200);
    });

    it('is sent to nobody for an address that would add a header, or is none', async () => {
      const { email } = await someone();
      const before = mailbox.list().length;
      for (const bad of [
        `${email}\nBcc: mallory@globex.example`,
        `${email}\r\nSubject: x`,
        `${email},mallory@globex.example`,
        `${email}\0`,
        email.replace('@', '＠'),
        `"${email}"`,
        email.replace('acme', '\u0430cme'),
        '',
        'alice',
      ]) {
        expect(outcome(await request(bad))).toEqual([422, 'invalid_body']);
        expect(outcome(await type(bad, '123456'))).toEqual([422, 'invalid_body']);
      }
      await mailsTo(email);
      expect(mailbox.list()).toHaveLength(before);
    });

    it('redirects only to a path of this server', async () => {
      const { email } = await someone();
      for (const returnTo of [
        '//evil.example',
        'https://evil.example',
        'javascript:alert(1)',
        '/\\evil.example',
        '\\\\evil.example',
        '/\t/evil.example',
        'documents',
        '',
      ])
        expect(outcome(await request(email, { returnTo }))).toEqual([422, 'invalid_body']);
      const { token, cookie } = await mailFor(email, { returnTo: '/%2f%2fevil.example' });
      const location = (await press(token, cookie)).headers.get('location')!;
      expect(new URL(location, PUBLIC_URL).origin).toBe(PUBLIC_URL);
    });

    it('is impossible to request without a mail server', async () => {
      const other = await boot({
        methods: [magicLink, testIssuer],
        env: { HOST: '0.0.0.0', DEMO: 'false' },
      });
      const body = { email: 'alice@acme.example', as: 'test-issuer' };
      expect(outcome(await client(other.origin).post('/auth/magic-link', body))).toEqual([
        503,
        'mail_unavailable',
      ]);
      await other.close();
    });
  });

  describe('an address without an account', () => {
    /** Addresses to which no mail goes. */
    const silent = async () => [
      'nobody@acme.example',
      (await someone({ verifiedAt: null as never })).email,
      (await someone({ disabledAt: new Date() })).email,
      (await someone({ kind: 'client' })).email,
    ];

    it('has the same response, and the same rows, as one with an account', async () => {
      const known = (await someone()).email;
      const expected = comparable(await request(known));
      // The counter of wrong credentials of all methods is stored a second later.
      const counters = () => booted.db.sql<object[]>`
        SELECT points FROM login_failures WHERE key NOT LIKE 'credentials:%' ORDER BY points`;
      expect(expected).toMatchObject({ status: 202, body: { expires_in: 600 } });
      for (const email of await silent()) {
        await booted.db.sql`DELETE FROM login_failures`;
        const [before, mails] = [(await rows()).length, mailbox.list().length];
        expect(comparable(await request(email))).toEqual(expected);
        expect(await rows()).toHaveLength(before + 1);
        expect(await counters()).toEqual([{ points: 1 }, { points: 1 }, { points: 1 }, { points: 1 }]);
        expect(await mailsTo(email)).toEqual([]);
        expect(mailbox.list()).toHaveLength(mails);
      }
    });

    it('has the same response to a code', async () => {
      const known = (await someone()).email;
      const { code } = await mailFor(known);
      const expected = comparable(await type(known, wrong(code)));
      expect(expected).toMatchObject({ status: 401, body: { code: 'invalid_code' } });
      for (const email of await silent()) {
        expect(comparable(await type(email, '000000'))).toEqual(expected);
        await request(email);
        expect(comparable(await type(email, '000000'))).toEqual(expected);
        await booted.db.sql`DELETE FROM login_failures`;
      }
    });

    it('is stored with a code and a link that open nothing', async () => {
      const pending = booted.app.get(PendingSignIns, { strict: false });
      const email = 'nobody@acme.example';
      const { token, code, browser } = await pending.create(pending.mailboxOf('sign-in', email), undefined);
      expect((await open(token, `${COOKIE}=${browser}`)).status).toBe(410);
      expect(outcome(await press(token, `${COOKIE}=${browser}`))).toEqual(INVALID_LINK);
      expect(outcome(await type(email, code))).toEqual(INVALID_CODE);
    });

    it('has the same limits', async () => {
      const { email } = await someone();
      for (const each of [email, 'nobody-else@acme.example']) {
        for (let i = 0; i < 5; i++) expect((await request(each)).status).toBe(202);
        const refused = await request(each);
        expect(outcome(refused)).toEqual([429, 'too_many_attempts']);
        expect(refused.headers.getSetCookie()).toEqual([]);
        for (let i = 0; i < 10; i++) expect(outcome(await type(each, 'none'))).toEqual(INVALID_CODE);
        expect(outcome(await type(each, 'none'))).toEqual([429, 'too_many_attempts']);
      }
      expect(await mailsTo(email)).toHaveLength(5);
    });
  });

  it('identifies a mailbox by its purpose, too', () => {
    const pending = booted.app.get(PendingSignIns, { strict: false });
    expect(pending.mailboxOf('sign-in', 'x')).not.toBe(pending.mailboxOf('step-up', 'x'));
  });

  describe('the code', () => {
    it('signs in on a device without the cookie, by the client of the method', async () => {
      const { id, email } = await someone();
      await fetch(mailRequest(booted.origin, { email, as: 'test-issuer' }));
      const [mail] = await mailsTo(email);
      const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text)!;
      const response = await fetch(
        codeRequest(booted.origin, { email, code, as: 'test-issuer', scope: 'documents:read' }),
      );
      expect(response.status).toBe(200);
      const { test_token } = (await response.json()) as { test_token: string };
      const { body } = await client(booted.origin, withTestToken(test_token)).get('/me');
      expect(body).toMatchObject({ id, scopes: ['documents:read'], proofs: [{ amr: ['mca'] }] });
    });

    it('has six digits, and may be typed with spaces', () => {
      for (let i = 0; i < 1_000; i++) expect(newCode()).toMatch(/^\d{6}$/);
      expect(parseCode(' 123 456\n')).toBe('123456');
      for (const text of ['12345', '1234567', '12345a', '１２３４５６', '123-456', '-12345', '1e5000', ''])
        expect(parseCode(text)).toBeUndefined();
    });

    it('works once, whatever spaces it has, also 20 times in parallel', async () => {
      const { email } = await someone();
      const { code } = await mailFor(email);
      const spaced = [
        `${code.slice(0, 3)} ${code.slice(3)}`,
        ` ${code}`,
        `${code}\n`,
        `\u00a0${code}\t`,
        code,
      ];
      const tries = await Promise.all(spaced.map((each) => type(email, each)));
      expect(tries.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const each of spaced) expect(outcome(await type(email, each))).toEqual(INVALID_CODE);
    });

    it('ends after five wrong ones, and the next code is not a new start', async () => {
      const { email } = await someone();
      const first = await mailFor(email);
      for (let i = 0; i < 5; i++) expect(outcome(await type(email, wrong(first.code)))).toEqual(INVALID_CODE);
      expect(outcome(await type(email, first.code))).toEqual(INVALID_CODE);
      const second = await mailFor(email);
      for (let i = 0; i < 4; i++)
        expect(outcome(await type(email, wrong(second.code)))).toEqual(INVALID_CODE);
      const third = await mailFor(email);
      const refused = await type(email, third.code);
      expect(outcome(refused)).toEqual([429, 'too_many_attempts']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      // The link has 256 bits, so guesses of the code do not end it.
      expect((await press(third.token, third.cookie)).status).toBe(303);
    });

    it('is guessed at most 20 times a day, and guesses that are sent at once all count', async () => {
      const { email } = await someone();
      const { code } = await mailFor(email);
      const guesses = await Promise.all(Array.from({ length: 20 }, () => type(email, wrong(code))));
      expect(guesses.filter(({ status }) => status === 401)).toHaveLength(10);
      expect(guesses.filter(({ status }) => status === 429)).toHaveLength(10);
      expect((await rows()).find(({ attempts }) => attempts > 5)).toBeUndefined();
      await booted.db.sql`DELETE FROM login_failures WHERE key NOT LIKE ${'%-day:%'}`;
      for (let i = 0; i < 10; i++) expect((await type(email, 'none')).status).toBe(401);
      await booted.db.sql`DELETE FROM login_failures WHERE key NOT LIKE ${'%-day:%'}`;
      expect((await type(email, code)).status).toBe(429);
    });

    it('does not count if it is correct', async () => {
      const { email } = await someone();
      for (let i = 0; i < 4; i++) expect((await type(email, (await mailFor(email)).code)).status).toBe(200);
      expect(
        await booted.db.sql`SELECT 1 FROM login_failures WHERE key LIKE ${'magic-link code%'} AND points > 0`,
      ).toEqual([]);
    });

    it('does not sign in another account', async () => {
      const [mine, other] = [await someone(), await someone()];
      const [{ code }, { code: own }] = [await mailFor(mine.email), await mailFor(other.email)];
      if (code !== own) expect(outcome(await type(other.email, code))).toEqual(INVALID_CODE);
      expect((await type(mine.email, code)).status).toBe(200);
    });
  });

  describe('is invalid', () => {
    const expectInvalid = async (email: string, { token, cookie, code }: SentMail) => {
      expect(outcome(await type(email, code))).toEqual(INVALID_CODE);
      expect(outcome(await press(token, cookie))).toEqual(INVALID_LINK);
    };

    it('after ten minutes', async () => {
      const { id, email } = await someone();
      const mail = await mailFor(email);
      const [{ expiresAt }] = (await booted.db.manager.findBy(MagicLink, { userId: id })) as [MagicLink];
      expect(Math.abs(expiresAt.getTime() - Date.now() - 600_000)).toBeLessThan(30_000);
      await booted.db.manager.update(MagicLink, { userId: id }, { expiresAt: new Date() });
      expect((await open(mail.token, mail.cookie)).status).toBe(410);
      await expectInvalid(email, mail);
    });

    it.each<[string, (id: string) => Promise<unknown>]>([
      [
        'all sign-ins of the account were ended',
        (id) => booted.db.transaction((manager) => endAllSignIns(manager, id)),
      ],
      [
        'the account was disabled',
        (id) => booted.db.manager.update(User, { id }, { disabledAt: new Date() }),
      ],
      [
        'the account has another address',
        (id) => booted.db.manager.update(UserEmail, { userId: id }, { address: `new-${id}@acme.example` }),
      ],
      [
        'its address is unverified',
        (id) => booted.db.manager.update(UserEmail, { userId: id }, { verifiedAt: null }),
      ],
      ['the account has no address', (id) => booted.db.manager.delete(UserEmail, { userId: id })],
      ['the account was deleted', (id) => booted.db.manager.delete(User, { id })],
    ])('after %s', async (_, change) => {
      for (const use of [
        ({ email }: { email: string }, { code }: SentMail) => type(email, code),
        (_: { email: string }, { token, cookie }: SentMail) => press(token, cookie),
      ]) {
        const account = await someone();
        const mail = await mailFor(account.email);
        await change(account.id);
        const [status, code] = outcome(await use(account, mail));
        expect([INVALID_CODE, INVALID_LINK]).toContainEqual([status, code]);
      }
    });

    it('for the new owner of an address', async () => {
      const [before, after] = [await someone(), await someone()];
      const mail = await mailFor(before.email);
      await booted.db.manager.delete(UserEmail, { userId: before.id });
      await booted.db.manager.update(UserEmail, { userId: after.id }, { address: before.email });
      await expectInvalid(before.email, mail);
    });
  });

  it('does not complete the sign-in of an account with a second factor', async () => {
    const { email } = await someone({ mfaSince: new Date() });
    const { token, cookie } = await mailFor(email);
    const pressed = await press(token, cookie);
    expect(outcome(pressed)).toEqual([401, 'mfa_required']);
    expect(pressed.headers.getSetCookie().join()).not.toContain('test-token');
    const { code } = await mailFor(email);
    const typed = await type(email, code);
    expect(outcome(typed)).toEqual([401, 'mfa_required']);
    expect(typed.headers.get('x-test-token')).toBeNull();
  });

  it('stores neither addresses nor usable secrets, and deletes what has expired', async () => {
    const { email } = await someone();
    const { token, cookie, code } = await mailFor(email);
    const dump = JSON.stringify(await booted.db.query('SELECT * FROM magic_links'));
    for (const secret of [token, cookie.split('=')[1]!, `"${code}"`, email])
      expect(dump).not.toContain(secret);
    const old = (await rows()).length;
    await booted.db.manager.updateAll(MagicLink, { expiresAt: new Date(Date.now() - 1) });
    await booted.app.get(PendingSignIns, { strict: false }).cleanUp();
    expect([old > 0, await rows()]).toEqual([true, []]);
  });

  it('audits a rejected sign-in without the address or the code', async () => {
    const { id, email } = await someone();
    const { token, cookie, code } = await mailFor(email);
    await press(token);
    await type(email, wrong(code));
    const events = await booted.db.manager.find(AuditEvent, { order: { seq: 'DESC' }, take: 2 });
    expect(events).toMatchObject([
      {
        event: 'authn_login_fail',
        method: 'magic-link',
        details: { reason: 'wrong, used, replaced or expired code' },
      },
      { event: 'authn_login_fail', method: 'magic-link', details: { reason: 'another browser', userId: id } },
    ]);
    for (const secret of [email, code, token, cookie]) expect(JSON.stringify(events)).not.toContain(secret);
  });

  describe('as a step-up', () => {
    const signedIn = async (account: { email: string }) => {
      const { body } = await type(account.email, (await mailFor(account.email)).code);
      return client(booted.origin, withTestToken(body.test_token as string));
    };
    const factor = { factor: 'magic-link' };

    it('sends a code to an account without a second factor, and accepts it once', async () => {
      const account = await someone();
      const caller = await signedIn(account);
      const begun = await caller.post('/auth/step-up/options', factor);
      expect([begun.status, begun.body]).toEqual([200, {}]);
      const [mail] = await mailsTo(account.email);
      expect(mail!.subject).toBe('Confirm that it is you at Auth Atlas');
      const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text)!;
      expect(outcome(await caller.post('/auth/step-up', { ...factor, code: wrong(code) }))).toEqual([
        401,
        'invalid_factor',
      ]);
      const { status, body } = await caller.post('/auth/step-up', { ...factor, code });
      expect(status).toBe(200);
      const fresh = client(booted.origin, withTestToken(body.test_token as string));
      expect((await fresh.get('/me')).body.proofs[0].amr).toEqual(['mca']);
      expect(outcome(await fresh.post('/auth/step-up', { ...factor, code }))).toEqual([
        401,
        'invalid_factor',
      ]);
    });

    it('accepts no code of a sign-in, and a sign-in no code of a step-up', async () => {
      const account = await someone();
      const caller = await signedIn(account);
      await caller.post('/auth/step-up/options', factor);
      const [mail] = await mailsTo(account.email);
      const [, stepUp = ''] = /^code: (\d{6})$/m.exec(mail!.text)!;
      const { code } = await mailFor(account.email);
      if (code === stepUp) return;
      expect(outcome(await type(account.email, stepUp))).toEqual(INVALID_CODE);
      expect(outcome(await caller.post('/auth/step-up', { ...factor, code }))).toEqual([
        401,
        'invalid_factor',
      ]);
      expect((await caller.post('/auth/step-up', { ...factor, code: stepUp })).status).toBe(200);
    });

    it('is not offered to an account with a second factor, or without a verified address', async () => {
      const account = await someone();
      const caller = await signedIn(account);
      const usable = async () =>
        ((await caller.get('/auth/factors')).body.items as { factor: string; usable: boolean }[]).find(
          (each) => each.factor === 'magic-link',
        )!.usable;
      expect(await usable()).toBe(true);
      await booted.db.manager.update(UserEmail, { userId: account.id }, { verifiedAt: null });
      expect(await usable()).toBe(false);
      expect((await caller.post('/auth/step-up/options', factor)).status).toBe(422);
    });
  });
});
