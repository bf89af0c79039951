import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { AccountToken } from '../../src/accounts/account-token.entity.js';
import { AccountTokens } from '../../src/accounts/account-tokens.service.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import { endAllSignIns } from '../../src/users/end-sign-ins.js';
import { boot, client, type Booted, type TestResponse } from '../support/app.js';
import { startProcesses, type Processes } from '../support/processes.js';
import { race } from '../support/race.js';
import { mfaTicket } from '../support/second-step.js';
import { testIssuer, withTestToken, TestIssuer } from '../support/test-issuer.js';
import { mailedToken, mailsTo } from './mails.js';
import { statementsOf } from './statements.js';

const NEW_PASSWORD = 'seventeen purple kettles';

describe('a password reset', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ methods: [testIssuer] })));
  afterAll(() => booted.close());

  /** An account of its own for each test, whose username and mailbox have the same name. */
  let name: string;
  let address: string;
  beforeEach(async () => {
    name = `user-${randomBytes(4).toString('hex')}`;
    address = `${name}@acme.example`;
    await booted.db.sql`DELETE FROM login_failures`;
    await booted.db.manager.insert(User, {
      ...{ id: name, username: name, tenantId: 'acme', kind: 'user', roles: ['viewer'] },
      ...{ name: null, disabledAt: null, mfaSince: null, epoch: 0 },
    });
    await booted.db.manager.insert(UserEmail, { userId: name, address, verifiedAt: new Date() });
    const { hash } = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
    await booted.db.manager.insert(Password, { userId: name, hash, changedAt: new Date() });
  });

  const post = (path: string, body: object, headers = {}) => client(booted.origin).post(path, body, headers);
  const request = (email = address, headers = {}) => post('/auth/password-reset', { email }, headers);
  const complete = (token: string, new_password = NEW_PASSWORD, origin = booted.origin) =>
    client(origin).post('/auth/password-reset/complete', { token, new_password });
  const requestToken = async () => {
    expect((await request()).status).toBe(202);
    return mailedToken(booted, address);
  };
  const passwordIs = (password: string) =>
    booted.app
      .get(PasswordsService, { strict: false })
      .verify(name, password, '192.0.2.1')
      .then(
        () => true,
        () => false,
      );
  const account = () => booted.db.manager.findOneByOrFail(User, { id: name });
  const codeOf = ({ status, body }: TestResponse) => [status, body.code];
  const INVALID = [400, 'invalid_mailed_token'];
  const expectUnchanged = async () => expect(await passwordIs(DEMO_PASSWORD)).toBe(true);

  it('sets a new password by a mailed link, without signing in', async () => {
    const requested = await request(address.toUpperCase());
    expect([requested.status, requested.body]).toEqual([202, '']);
    const [mail] = await mailsTo(booted, address);
    expect(mail!.subject).toBe('Auth Atlas: reset your password');
    expect(mail!.text).toMatch(
      /\n\nhttp:\/\/localhost:\d+\/account\/reset-password\?token=[\w-]{43}\n\nTime: /,
    );
    const completed = await complete(await mailedToken(booted, address));
    expect([completed.status, completed.body, completed.headers.get('set-cookie')]).toEqual([204, '', null]);
    expect([await passwordIs(DEMO_PASSWORD), await passwordIs(NEW_PASSWORD)]).toEqual([false, true]);
    const [notice] = await mailsTo(booted, address);
    expect(notice!.subject).toBe('Auth Atlas: password changed');
    expect(
      await booted.db.manager.findOne(AuditEvent, {
        where: { target: `user:${name}` },
        order: { seq: 'DESC' },
      }),
    ).toMatchObject({ event: 'authn_password_change', userId: name, details: { reset: true } });
  });

  it('ends all sign-ins of the account', async () => {
    const { epoch } = await account();
    const issuer = booted.app.get(TestIssuer, { strict: false });
    const token = randomUUID();
    const proof = {
      method: 'test-issuer',
      at: new Date(),
      amr: ['pwd'],
      bound: false,
      signIn: true,
    } as const;
    const { tenantId, kind, roles } = await account();
    issuer.tokens.set(token, {
      userId: name,
      epoch,
      principal: { id: name, tenantId, kind, roles, proofs: [proof] },
    });
    const me = async () => (await client(booted.origin, withTestToken(token)).get('/me')).status;
    expect(await me()).toBe(200);
    await complete(await requestToken());
    expect(await me()).toBe(401);
    expect((await account()).epoch).toBe(epoch + 1);
  });

  it('leaves a second factor required, and ends a sign-in that waits for it', async () => {
    await booted.db.manager.update(User, { id: name }, { mfaSince: new Date() });
    const ticket = await mfaTicket(booted, name, 'test-issuer');
    await complete(await requestToken());
    expect((await account()).mfaSince).not.toBeNull();
    const second = await post('/auth/mfa', { mfa_token: ticket, factor: 'totp', code: '000000' });
    expect(codeOf(second)).toEqual([401, 'invalid_mfa_token']);
  });

  it('gives an account without a password its first one', async () => {
    await booted.db.manager.delete(Password, { userId: name });
    expect((await complete(await requestToken())).status).toBe(204);
    expect(await passwordIs(NEW_PASSWORD)).toBe(true);
  });

  it('keeps no token that a copy of the database reveals', async () => {
    const token = await requestToken();
    const rows = JSON.stringify(await booted.db.manager.find(AccountToken));
    expect(rows).not.toContain(token);
    expect(rows).toContain(address);
  });

  it('accepts a better password with the same token after a weak one', async () => {
    const token = await requestToken();
    for (const weak of [
      'short',
      'password password',
      'aaaaaaaaaaaaaaaa',
      'x'.repeat(129),
      'Auth Atlas is my favourite',
      `my ${name} is not long`,
    ]) {
      const { status, body } = await complete(token, weak);
      expect([status, body.code, body.errors[0].field]).toEqual([422, 'invalid_body', 'new_password']);
    }
    await expectUnchanged();
    expect((await complete(token)).status).toBe(204);
  });

  it('rejects a password that contains the local part of the address', async () => {
    await booted.db.manager.update(User, { id: name }, { username: `other-${name.slice(5)}x` });
    const { body } = await complete(await requestToken(), `the ${address} again`);
    expect(body.errors).toEqual([{ field: 'new_password', message: 'Must not contain the e-mail address.' }]);
  });

  describe('attacks', () => {
    it('rejects a token that was used, altered, guessed or never sent', async () => {
      const token = await requestToken();
      const altered = token.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
      for (const wrong of [
        altered,
        `${token}A`,
        ` ${token}`,
        token.slice(1),
        randomBytes(32).toString('base64url'),
      ])
        expect(codeOf(await complete(wrong))).toEqual(INVALID);
      await expectUnchanged();
      expect((await complete(token)).status).toBe(204);
      expect(codeOf(await complete(token, 'another long passphrase'))).toEqual(INVALID);
      expect(await passwordIs(NEW_PASSWORD)).toBe(true);
    });

    it('rejects a token after 30 minutes, and deletes it', async () => {
      const token = await requestToken();
      const [row] = await booted.db.manager.findBy(AccountToken, { accountId: name });
      expect(row!.expiresAt.getTime() - row!.createdAt.getTime()).toBe(30 * 60_000);
      await booted.db.manager.update(AccountToken, { id: row!.id }, { expiresAt: new Date(Date.now() - 1) });
      expect(codeOf(await complete(token))).toEqual(INVALID);
      await expectUnchanged();
      await booted.app.get(AccountTokens, { strict: false }).cleanUp();
      expect(await booted.db.manager.countBy(AccountToken, { accountId: name })).toBe(0);
    });

    it('rejects the token of an earlier request', async () => {
      const first = await requestToken();
      const second = await requestToken();
      expect(codeOf(await complete(first))).toEqual(INVALID);
      expect((await complete(second)).status).toBe(204);
    });

    it('rejects a token that is older than a password change or a logout everywhere', async () => {
      const token = await requestToken();
      await booted.db.transaction((manager) => endAllSignIns(manager, name));
      expect(codeOf(await complete(token))).toEqual(INVALID);
      await expectUnchanged();
    });

    it('changes the password of its own account only', async () => {
      const before = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
      const token = await requestToken();
      const body = { token, new_password: NEW_PASSWORD, username: 'bob', userId: 'bob' };
      expect((await post('/auth/password-reset/complete', body)).status).toBe(422);
      expect((await complete(token)).status).toBe(204);
      expect(await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' })).toEqual(before);
    });

    it.each([
      ['a disabled account', () => booted.db.manager.update(User, { id: name }, { disabledAt: new Date() })],
      [
        'an unverified address',
        () => booted.db.manager.update(UserEmail, { userId: name }, { verifiedAt: null }),
      ],
      ['a machine account', () => booted.db.manager.update(User, { id: name }, { kind: 'client' })],
    ])('sends no mail to %s', async (_, change) => {
      await change();
      expect((await request()).status).toBe(202);
      expect(await mailsTo(booted, address)).toEqual([]);
    });

    it('rejects a token whose account was disabled in the meantime', async () => {
      const token = await requestToken();
      await booted.db.manager.update(User, { id: name }, { disabledAt: new Date() });
      expect(codeOf(await complete(token))).toEqual(INVALID);
    });

    it('links to PUBLIC_URL, whatever the request names', async () => {
      const headers = { 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' };
      await request(address, headers);
      const { port } = new URL(booted.origin);
      const body = JSON.stringify({ email: address });
      await client(booted.origin).raw(
        'POST /auth/password-reset HTTP/1.1',
        'Host: evil.example',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Connection: close',
        '',
        body,
      );
      const mails = await mailsTo(booted, address);
      expect(mails).toHaveLength(2);
      for (const { text } of mails) expect(text).not.toMatch(new RegExp(`evil|:${port}`));
    });

    it.each([
      'alice@acme.example\r\nBcc: evil@evil.example',
      'alice@acme.example, evil@evil.example',
      'alice＠acme.example',
      'alice@аcme.example',
      '"alice"@acme.example',
      'Alice <alice@acme.example>',
    ])('rejects %j as an address', async (email) => {
      expect((await request(email)).status).toBe(422);
    });

    it('runs the same statements and responds the same for an unknown address', async () => {
      const responses: TestResponse[] = [];
      const stranger = `nobody-${name}@acme.example`;
      const statements = [];
      for (const email of [address, stranger])
        statements.push(await statementsOf(booted, async () => responses.push(await request(email))));
      expect(statements[1]).toEqual(statements[0]);
      expect(statements[0]!.length).toBeGreaterThan(3);
      const visible = ({ status, body, headers }: TestResponse) => {
        const { date: _, 'x-request-id': __, ...others } = Object.fromEntries(headers);
        return { status, body, others };
      };
      expect(visible(responses[1]!)).toEqual(visible(responses[0]!));
      expect(await mailsTo(booted, stranger)).toEqual([]);
    });

    it('limits the mails to one mailbox, known or not', async () => {
      for (const email of [address, `nobody-${name}@acme.example`]) {
        for (let i = 0; i < 5; i++) expect((await request(email)).status).toBe(202);
        const { status, body, headers } = await request(email);
        expect([status, body.code, Number(headers.get('retry-after')) > 0]).toEqual([
          429,
          'too_many_mails',
          true,
        ]);
      }
    });

    it('limits the mails that one network causes', async () => {
      const statuses = [];
      for (let i = 0; i < 31; i++) statuses.push((await request(`nobody-${i}-${name}@acme.example`)).status);
      expect(statuses).toEqual([...Array<number>(30).fill(202), 429]);
    });

    it('has no route by which anyone sets the password of another account', async () => {
      for (const path of ['/accounts/bob/password', '/users/bob/password', '/auth/password-reset/bob'])
        for (const method of ['POST', 'PUT', 'PATCH'])
          expect((await client(booted.origin).send(method, path, { body: {} })).status).toBe(404);
    });
  });
});

describe('a password reset in two processes', () => {
  let processes: Processes;
  beforeAll(async () => (processes = await startProcesses(2)));
  afterAll(() => processes.stop());

  it('uses each token once, for whichever of 20 requests comes first', async () => {
    const { db, app, origins } = processes;
    const make = async () => {
      const { epoch } = await db.manager.findOneByOrFail(User, { id: 'bob' });
      const { token } = await app.get(AccountTokens, { strict: false }).create(db.manager, {
        purpose: 'password-reset',
        accountId: 'bob',
        address: 'bob@acme.example',
        payload: { epoch },
        lifetimeMs: 60_000,
      });
      return token;
    };
    const use = async (origin: string, token: string) => {
      const body = { token, new_password: NEW_PASSWORD };
      return (await client(origin).post('/auth/password-reset/complete', body)).status === 204;
    };
    // Each use hashes a password.
    expect(await race({ origins, rounds: 5, make, use })).toEqual([]);
  });
});
