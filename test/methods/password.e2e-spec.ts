import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { AuditLog } from '../../src/audit/audit-log.service.js';
import { IssuerRegistry } from '../../src/authentication/issuer-registry.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import * as password from '../../src/methods/password/index.js';
import { loginRequest } from '../../src/methods/password/password.client.js';
import { formatScope, type Login } from '../../src/methods/password/password.js';
import { parseScope } from '../../src/permissions.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import { User } from '../../src/users/user.entity.js';
import {
  RANDOM_SECRET,
  as,
  boot,
  client,
  testMethod,
  type TestResponse,
  type Booted,
} from '../support/app.js';
import { TestIssuer, testIssuer, withTestToken } from '../support/test-issuer.js';
import { FailedAttempts } from '../../src/rate-limits/failed-attempts.service.js';
import { SCOPES } from '../../src/permissions.js';

const NEW_PASSWORD = 'quite another long password';

let nextUser = 0;
/** Creates an account for one test that counts failures or ends sign-ins. */
async function someone(
  booted: Booted,
  own: Partial<User> & { password?: string | null } = {},
): Promise<string> {
  const { password: typed = DEMO_PASSWORD, ...more } = own;
  const id = `someone-${nextUser++}`;
  const user = { id, username: id, tenantId: 'acme', roles: ['admin' as const], disabledAt: null, epoch: 0 };
  await booted.db.manager.insert(User, { ...user, kind: 'user', ...more });
  const hash = typed === null ? undefined : await booted.app.get(PasswordHashing).hash(typed);
  if (hash) await booted.db.manager.insert(Password, { userId: id, hash, changedAt: new Date() });
  return id;
}

const signIn = (booted: Booted, username: string, more: Partial<Login> = {}) =>
  client(booted.origin).post('/auth/login', {
    username,
    password: DEMO_PASSWORD,
    as: 'test-issuer',
    ...more,
  });
const change = (current: string, next: string) => ({ current_password: current, new_password: next });
const events = (booted: Booted, where: Partial<AuditEvent>) =>
  booted.db.manager.find(AuditEvent, { where: where as object, order: { seq: 'ASC' } });
const counted = async (booted: Booted) =>
  // The counter of wrong credentials of all methods is stored a second later.
  (
    await booted.db.sql<
      { points: number }[]
    >`SELECT points FROM login_failures WHERE key NOT LIKE 'credentials:%'`
  )
    .map(({ points }) => points)
    .reduce((sum, points) => sum + points, 0);

/** The parts of a response that could distinguish two causes, without those that always differ. */
const comparable = ({ status, headers, body }: TestResponse) => ({
  status,
  headers: [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name)),
  body: { ...body, requestId: '' },
});

describe('password', () => {
  let booted: Booted;
  let issuer: TestIssuer;
  beforeAll(async () => {
    booted = await boot({ methods: [password, testIssuer, testMethod] });
    issuer = booted.app.get(TestIssuer, { strict: false });
  });
  afterAll(() => booted.close());
  afterEach(async () => {
    jest.restoreAllMocks();
    await booted.db.sql`DELETE FROM login_failures`;
  });

  /** A caller who has signed in. */
  async function signedIn(username: string, more: Partial<Login> = {}) {
    const { status, body } = await signIn(booted, username, more);
    expect(status).toBe(200);
    return client(booted.origin, withTestToken(body.test_token as string));
  }

  describe('POST /auth/login', () => {
    it('returns the response of the issuer, with its headers', async () => {
      const { status, headers, body } = await signIn(booted, 'bob');
      expect([status, body]).toEqual([200, { test_token: expect.any(String) }]);
      expect(headers.get('x-test-token')).toBe(body.test_token);
      expect(headers.get('cache-control')).toBe('no-store');
    });

    it('issues a proof with the method and time of the sign-in', async () => {
      const before = Date.now();
      const { body } = await (await signedIn('bob')).get('/me');
      expect(body).toMatchObject({ id: 'bob', roles: ['editor'], proofs: [{ amr: ['pwd'], bound: false }] });
      const at = new Date(body.proofs[0].at as string).getTime();
      expect(at).toBeGreaterThanOrEqual(before);
      expect(at).toBeLessThanOrEqual(Date.now());
      expect([...issuer.tokens.values()].at(-1)!.principal.proofs[0]).toMatchObject({ method: 'password' });
    });

    it("is sent by the method's own client", async () => {
      const login = { username: 'bob', password: DEMO_PASSWORD, as: 'test-issuer' };
      expect((await fetch(loginRequest(booted.origin, login))).status).toBe(200);
    });

    it('limits the issued credential to the requested scope', async () => {
      const bob = await signedIn('bob', { scope: 'documents:read audit:read documents:read' });
      expect((await bob.get('/me')).body.scopes).toEqual(['documents:read', 'audit:read']);
      expect((await bob.get('/documents/bob-draft-public')).status).toBe(200);
      expect((await bob.post('/documents', { title: 'x' })).status).toBe(403);
      expect((await (await signedIn('bob')).post('/documents', { title: 'x' })).status).toBe(201);
    });

    it.each([
      '',
      ' ',
      'documents:read  audit:read',
      'documents:read ',
      'documents:read,audit:read',
      'everything',
    ])('rejects an invalid scope: %j', async (scope) => {
      const { status, body } = await signIn(booted, 'bob', { scope });
      expect([status, body.code]).toEqual([422, 'invalid_body']);
      expect(body.errors[0].field).toMatch(/^scope/);
    });

    it('formats and parses a scope as RFC 6749 does', () => {
      expect(formatScope(SCOPES)).toBe('documents:read documents:write documents:delete audit:read');
      expect(parseScope(formatScope(SCOPES))).toEqual(SCOPES);
    });

    it('rejects an unknown issuer before it verifies the password, and lists the installed ones', async () => {
      const verify = jest.spyOn(booted.app.get(PasswordHashing), 'verify');
      for (const name of ['test', 'password', 'nothing', '', 'constructor', '__proto__'])
        for (const typed of [DEMO_PASSWORD, 'wrong'])
          expect(await signIn(booted, 'bob', { as: name, password: typed })).toMatchObject({
            status: 422,
            body: {
              code: 'invalid_body',
              errors: [{ field: 'as', message: 'Must be one of: test-issuer.' }],
            },
          });
      expect(verify).not.toHaveBeenCalled();
      expect(await counted(booted)).toBe(0);
    });

    it('rejects other fields and other types', async () => {
      const good = { username: 'bob', password: DEMO_PASSWORD, as: 'test-issuer' };
      const bad: [string, object][] = [
        ['isAdmin', { ...good, isAdmin: true }],
        ['username', { ...good, username: { $ne: '' } }],
        ['username', { ...good, username: undefined }],
        ['password', { ...good, password: ['a'] }],
        ['password', { ...good, password: 'a'.repeat(1025) }],
        ['as', { ...good, as: undefined }],
      ];
      for (const [field, body] of bad) {
        const response = await client(booted.origin).post('/auth/login', body);
        expect([response.status, response.body.errors[0].field]).toEqual([422, field]);
      }
    });

    it('accepts a username in upper case, and a decomposed password', async () => {
      const id = await someone(booted, { password: 'crème brûlée, every day' });
      const typed = 'crème brûlée, every day'.normalize('NFD').replaceAll(' ', '\u00a0');
      expect((await signIn(booted, id.toUpperCase(), { password: typed })).status).toBe(200);
    });
  });

  describe('a sign-in that fails', () => {
    it('is audited once before the response, without the typed text', async () => {
      const { status, headers, body } = await signIn(booted, 'bob', { password: 'hunter2 and more' });
      expect([status, body.code]).toEqual([401, 'invalid_credentials']);
      const requestId = headers.get('x-request-id')!;
      const written = await events(booted, { requestId });
      expect(written).toMatchObject([
        {
          event: 'authn_login_fail',
          method: 'password',
          userId: 'bob',
          tenantId: 'acme',
          details: { code: 'invalid_credentials', reason: 'wrong password for the account bob' },
        },
      ]);
      await booted.app.get(AuditLog).flush();
      expect(await events(booted, { requestId })).toEqual(written);

      await signIn(booted, 'my own password', { password: 'hunter2 and more' });
      expect(JSON.stringify(await events(booted, {}))).not.toMatch(/hunter2|my own password/);
    });

    it('counts once for the account, for the address and as a wrong credential', async () => {
      await booted.app.get(FailedAttempts, { strict: false }).flush();
      await booted.db.sql`DELETE FROM login_failures`;
      await signIn(booted, await someone(booted), { password: 'wrong' });
      await booted.app.get(FailedAttempts, { strict: false }).flush();
      const rows = await booted.db.sql<
        { key: string; points: number }[]
      >`SELECT key, points FROM login_failures`;
      const kinds = rows.map(({ key, points }) => [key.split(':')[0], points > 0]);
      expect(Object.fromEntries(kinds)).toEqual({ account: true, address: true, credentials: true });
      const [account, address] = ['account', 'address'].map((kind) =>
        rows.find(({ key }) => key.startsWith(`${kind}:`)),
      );
      expect([account!.points, address!.points]).toEqual([1, 1]);
    });

    it('gets the challenge of the requested issuer', async () => {
      const { headers } = await signIn(booted, 'bob', { password: 'wrong' });
      expect(headers.get('www-authenticate')).toBe('TestToken realm="test"');
    });

    it('is allowed ten times in 15 minutes, together with failed changes', async () => {
      const id = await someone(booted);
      const caller = client(booted.origin, as({ id }));
      for (let i = 0; i < 5; i++) {
        expect((await signIn(booted, id, { password: `guess ${i}` })).status).toBe(401);
        expect((await caller.post('/auth/password', change(`guess ${i}`, NEW_PASSWORD))).status).toBe(403);
      }
      for (const response of [
        await signIn(booted, id),
        await caller.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD)),
      ]) {
        expect([response.status, response.body.code]).toEqual([429, 'too_many_attempts']);
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      }
    });
  });

  describe('POST /auth/password', () => {
    it('changes the password, ends all sign-ins, and issues a new one to the caller', async () => {
      const id = await someone(booted);
      const [here, there] = [await signedIn(id), await signedIn(id, { scope: 'audit:read' })];
      const { status, body } = await here.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD));
      expect([status, body]).toEqual([200, { test_token: expect.any(String) }]);

      for (const each of [here, there]) expect((await each.get('/me')).status).toBe(401);
      const fresh = await client(booted.origin, withTestToken(body.test_token as string)).get('/me');
      expect(fresh.body).toMatchObject({ id, proofs: [{ amr: ['pwd'] }] });
      expect((await signIn(booted, id)).status).toBe(401);
      expect((await signIn(booted, id, { password: NEW_PASSWORD })).status).toBe(200);

      expect(await events(booted, { target: `user:${id}` })).toMatchObject([
        { event: 'authn_password_change', userId: id, tenantId: 'acme', method: 'test-issuer' },
      ]);
      expect(JSON.stringify(await events(booted, {}))).not.toContain(NEW_PASSWORD);
    });

    it('responds 204 to a caller whose credential has no issuer', async () => {
      const id = await someone(booted);
      const response = await client(booted.origin, as({ id })).post(
        '/auth/password',
        change(DEMO_PASSWORD, NEW_PASSWORD),
      );
      expect([response.status, response.body]).toEqual([204, '']);
      expect((await signIn(booted, id, { password: NEW_PASSWORD })).status).toBe(200);
    });

    it('rejects, counts and audits a wrong current password', async () => {
      const id = await someone(booted);
      const here = await signedIn(id);
      const { status, body, headers } = await here.post('/auth/password', change('wrong', NEW_PASSWORD));
      expect([status, body.code]).toEqual([403, 'incorrect_password']);
      expect(await counted(booted)).toBe(2);
      await booted.app.get(AuditLog).flush();
      const requestId = headers.get('x-request-id')!;
      expect(await events(booted, { requestId })).toMatchObject([
        {
          event: 'authn_login_fail',
          userId: id,
          target: `user:${id}`,
          details: { code: 'incorrect_password' },
        },
      ]);
      expect((await here.get('/me')).status).toBe(200);
    });

    it.each([
      ['short', 'Must have at least 15 characters.'],
      ['passwordpassword', 'Must not be a common password.'],
      ['auth-atlas-forever', 'Must not contain the name of this service.'],
      [DEMO_PASSWORD, 'Must differ from the current password.'],
    ])('rejects a weak password with its field and without its text: %s', async (next, message) => {
      const id = await someone(booted);
      const here = await signedIn(id);
      const { status, body } = await here.post('/auth/password', change(DEMO_PASSWORD, next));
      expect([status, body.code, body.errors]).toEqual([
        422,
        'invalid_body',
        [{ field: 'new_password', message }],
      ]);
      expect(JSON.stringify(body)).not.toContain(next);
      expect((await here.get('/me')).status).toBe(200);
    });

    it('does not count an attempt for a weak new password', async () => {
      const id = await someone(booted);
      await client(booted.origin, as({ id })).post('/auth/password', change('wrong', 'short'));
      expect(await counted(booted)).toBe(0);
    });

    it('rejects the local part of the e-mail address', async () => {
      const id = await someone(booted);
      const email = { userId: id, address: 'carol.smith@acme.example', verifiedAt: null };
      await booted.db.manager.insert(UserEmail, email);
      const here = await signedIn(id);
      const next = 'the phrase of Carol Smith';
      const { status, body } = await here.post('/auth/password', change(DEMO_PASSWORD, next));
      const errors = [{ field: 'new_password', message: 'Must not contain the e-mail address.' }];
      expect([status, body.errors]).toEqual([422, errors]);
    });

    it('accepts eight characters if the account has a second factor, not if another server checked one', async () => {
      const id = await someone(booted);
      const proof = {
        method: 'test',
        at: new Date(),
        amr: ['pwd', 'otp'],
        bound: false,
        signIn: true,
      } as const;
      const both = client(booted.origin, as({ id, proofs: [proof] }));
      const next = 'kqzvwxjp';
      const short = await both.post('/auth/password', change(DEMO_PASSWORD, next));
      expect([short.status, short.body.errors]).toEqual([
        422,
        [{ field: 'new_password', message: 'Must have at least 15 characters.' }],
      ]);
      await booted.db.manager.update(User, { id }, { mfaSince: new Date() });
      expect((await both.post('/auth/password', change(DEMO_PASSWORD, next))).status).toBe(204);
    });

    it('gives 404 for an account without a password', async () => {
      for (const id of [await someone(booted, { password: null }), 'acme-machine']) {
        const caller = client(booted.origin, as({ id, kind: 'client' }));
        const { status, body } = await caller.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD));
        expect([status, body.code]).toEqual([404, 'password_not_set']);
      }
    });

    it('succeeds for one of two concurrent requests', async () => {
      const id = await someone(booted);
      const caller = client(booted.origin, as({ id }));
      const passwords = booted.app.get(PasswordsService);
      const hash = passwords.hash.bind(passwords);
      // Both requests verify the old password before either writes the new one.
      let waiting = 2;
      let go = () => {};
      const both = new Promise<void>((resolve) => (go = resolve));
      jest.spyOn(passwords, 'hash').mockImplementation(async (typed) => {
        if (--waiting === 0) go();
        await both;
        return hash(typed);
      });
      const responses = await Promise.all(
        ['one', 'two'].map((which) =>
          caller.post('/auth/password', change(DEMO_PASSWORD, `${NEW_PASSWORD} ${which}`)),
        ),
      );
      expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([204, 409]));
      expect(responses.find(({ status }) => status === 409)!.body.code).toBe('concurrent_password_change');
      const winner = responses[0]!.status === 204 ? 'one' : 'two';
      expect((await signIn(booted, id, { password: `${NEW_PASSWORD} ${winner}` })).status).toBe(200);
      expect((await booted.db.manager.findOneByOrFail(User, { id })).epoch).toBe(1);
    });

    it('changes nothing if the audit event cannot be stored', async () => {
      const id = await someone(booted);
      const here = await signedIn(id);
      await booted.db.sql`UPDATE audit_head SET id = 2`;
      const { status } = await here.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD));
      await booted.db.sql`UPDATE audit_head SET id = 1`;
      expect(status).toBe(500);
      expect((await here.get('/me')).status).toBe(200);
      expect((await signIn(booted, id)).status).toBe(200);
    });
  });

  it('rejects a password over plain HTTP in production, without verifying it', async () => {
    const production = await boot({
      methods: [password, testIssuer, testMethod],
      env: {
        NODE_ENV: 'production',
        APP_SECRET: RANDOM_SECRET,
        PUBLIC_URL: 'https://api.atlas.test',
        TRUST_PROXY: '127.0.0.1',
      },
      logTo: { write: () => {} },
    });
    const { post } = client(production.origin, as({ id: 'bob' }));
    const login = { username: 'bob', password: DEMO_PASSWORD, as: 'test-issuer' };
    for (const [path, body] of [
      ['/auth/login', login],
      ['/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD)],
    ] as const) {
      expect(await post(path, body)).toMatchObject({ status: 403, body: { code: 'https_required' } });
      // A new production database has no accounts. The test checks that the password is verified.
      expect((await post(path, body, { 'X-Forwarded-Proto': 'https' })).body.code).toMatch(
        /invalid_credentials|password_not_set/,
      );
    }
    await production.close();
  });

  describe('attacks', () => {
    it('gives the same cost and response to an unknown, disabled or passwordless account and a wrong password', async () => {
      const wrong = await someone(booted);
      const disabled = await someone(booted, { disabledAt: new Date() });
      const without = await someone(booted, { password: null });
      const verify = jest.spyOn(booted.app.get(PasswordHashing), 'verify');
      const attempts: [string, string][] = [
        [wrong, 'wrong'],
        [wrong, ''],
        [disabled, DEMO_PASSWORD],
        [disabled, 'wrong'],
        [without, DEMO_PASSWORD],
        ['nobody', DEMO_PASSWORD],
        ['', DEMO_PASSWORD],
        [`${wrong}\u200b`, DEMO_PASSWORD],
        ['bо\u0431', DEMO_PASSWORD],
        ["' OR 1=1 --", DEMO_PASSWORD],
        ['n'.repeat(256), DEMO_PASSWORD],
      ];
      const responses = [];
      for (const [username, typed] of attempts) {
        verify.mockClear();
        responses.push(comparable(await signIn(booted, username, { password: typed })));
        expect([username, verify.mock.calls.length]).toEqual([username, 1]);
      }
      for (const response of responses) expect(response).toEqual(responses[0]);
      expect(responses[0]).toMatchObject({ status: 401, body: { code: 'invalid_credentials' } });
    });

    it('rejects the first 72 bytes of a longer password', async () => {
      const long = 'the quick brown fox jumps over '.repeat(4);
      const id = await someone(booted, { password: long });
      expect((await signIn(booted, id, { password: long.slice(0, 72) })).status).toBe(401);
      expect((await signIn(booted, id, { password: long })).status).toBe(200);
    });

    it('invalidates a sign-in that was verified before the password changed', async () => {
      const id = await someone(booted);
      const owner = client(booted.origin, as({ id }));
      issuer.before = async () => {
        issuer.before = async () => {};
        // The old password was verified; now its owner changes it.
        expect((await owner.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD))).status).toBe(204);
      };
      const { status, body } = await signIn(booted, id);
      expect(status).toBe(200);
      const thief = await client(booted.origin, withTestToken(body.test_token as string)).get('/me');
      expect([thief.status, thief.body.code]).toEqual([401, 'invalid_test_token']);
    });

    it('does not accept a fresh password sign-in as a second factor', async () => {
      const alice = await signedIn('alice');
      const { headers } = await alice.get('/documents/alice-draft-confidential');
      const response = await alice.send('DELETE', '/documents/alice-draft-confidential', {
        headers: { 'If-Match': headers.get('etag')! },
      });
      expect([response.status, response.body.detail]).toEqual([
        403,
        expect.stringContaining('second factor'),
      ]);
    });

    it('rejects a login with a content type that a form can send', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
      ]) {
        const { status } = await client(booted.origin).send('POST', '/auth/login', {
          body: JSON.stringify({ username: 'bob', password: DEMO_PASSWORD, as: 'test-issuer' }),
          headers: { 'Content-Type': type },
        });
        expect([type, status]).toEqual([type, 415]);
      }
    });

    it('has no route or field that changes the password of another account', async () => {
      const admin = client(booted.origin, as({ id: 'alice', roles: ['admin'] }));
      for (const [method, path] of [
        ['POST', '/users/bob/password'],
        ['PUT', '/users/bob/password'],
        ['PATCH', '/users/bob'],
        ['POST', '/auth/password/bob'],
      ] as const)
        expect((await admin.send(method, path, { body: { password: NEW_PASSWORD } })).status).toBe(404);
      for (const field of ['username', 'userId', 'id']) {
        const body = { ...change(DEMO_PASSWORD, NEW_PASSWORD), [field]: 'bob' };
        expect((await admin.post('/auth/password', body)).status).toBe(422);
      }
      expect((await signIn(booted, 'bob')).status).toBe(200);
    });

    it('ignores a password in the query', async () => {
      const query = new URLSearchParams({ username: 'bob', password: DEMO_PASSWORD, as: 'test-issuer' });
      expect((await client(booted.origin).post(`/auth/login?${query}`, {})).status).toBe(422);
      expect((await client(booted.origin).get(`/auth/login?${query}`)).status).toBe(405);
    });
  });
});

describe('password, with each installed issuer', () => {
  let booted: Booted;
  let names: readonly string[];
  beforeAll(async () => {
    booted = await boot();
    names = booted.app.get(IssuerRegistry).names;
  });
  afterAll(() => booted.close());

  /** The headers that use an issuer's response: a cookie with its CSRF token, or a token. */
  function carrying({ headers, body }: TestResponse) {
    const cookie = headers.getSetCookie()[0]?.split(';')[0];
    if (cookie)
      return client(booted.origin, {
        Cookie: cookie,
        'X-CSRF-Token': body.csrf_token as string,
        'Sec-Fetch-Site': 'same-origin',
      });
    expect(body).toMatchObject({ access_token: expect.any(String), token_type: expect.any(String) });
    return client(booted.origin, { Authorization: `${body.token_type} ${body.access_token}` });
  }
  const signInWith = async (name: string, id: string) => {
    const response = await signIn(booted, id, { as: name });
    expect([name, response.status]).toEqual([name, 200]);
    return carrying(response);
  };

  it('signs in, with the method and time in the proof', async () => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const { status, body } = await (await signInWith(name, 'bob')).get(`/demo/${name}`);
      expect([status, body.id, body.proofs[0]]).toEqual([
        200,
        'bob',
        expect.objectContaining({ amr: ['pwd'] }),
      ]);
      expect(Date.now() - new Date(body.proofs[0].at as string).getTime()).toBeLessThan(60_000);
    }
  });

  it('audits the sign-in, without the password', async () => {
    for (const name of names) {
      const id = await someone(booted);
      await signInWith(name, id);
      expect(await events(booted, { userId: id, event: 'authn_login_success' })).toMatchObject([
        { tenantId: 'acme', details: { as: name } },
      ]);
      expect(JSON.stringify(await events(booted, {}))).not.toContain(DEMO_PASSWORD);
    }
  });

  it('rejects a wrong password with the challenge of that issuer', async () => {
    for (const name of names) {
      const anonymous = await client(booted.origin).get(`/demo/${name}`);
      const { status, headers } = await signIn(booted, 'bob', { as: name, password: 'wrong' });
      expect([status, headers.get('www-authenticate')]).toEqual([
        401,
        anonymous.headers.get('www-authenticate'),
      ]);
    }
  });

  it('rejects the issued credential after a logout', async () => {
    for (const name of names) {
      const [here, there] = [await signInWith(name, 'bob'), await signInWith(name, 'bob')];
      expect([name, (await here.post('/auth/logout')).status]).toEqual([name, 204]);
      expect([name, (await here.get('/me')).status]).toEqual([name, 401]);
      expect([name, (await there.get('/me')).status]).toEqual([name, 200]);
    }
  });

  it('rejects the issued credential after logging out everywhere', async () => {
    for (const name of names) {
      const id = await someone(booted);
      const all = [];
      for (const each of [...names, ...names]) all.push(await signInWith(each, id));
      const here = await signInWith(name, id);
      expect((await here.post('/auth/logout', { everywhere: true })).status).toBe(204);
      for (const each of [here, ...all]) expect((await each.get('/me')).status).toBe(401);
    }
  });

  it('ends the sign-ins of every issuer on a password change, and issues a new one', async () => {
    for (const name of names) {
      const id = await someone(booted);
      const all = [];
      for (const each of names) all.push(await signInWith(each, id));
      const here = await signInWith(name, id);
      const response = await here.post('/auth/password', change(DEMO_PASSWORD, NEW_PASSWORD));
      expect([name, response.status]).toEqual([name, 200]);
      for (const each of [here, ...all]) expect((await each.get('/me')).status).toBe(401);
      const { body } = await carrying(response).get(`/demo/${name}`);
      expect([name, body.id, body.proofs[0].amr]).toEqual([name, id, ['pwd']]);
    }
  });
});
