import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { Public } from '../../src/authentication/plan.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import { withBasic } from '../../src/methods/basic/basic.client.js';
import { formatBasic } from '../../src/methods/basic/basic.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { KnownAddress, Password } from '../../src/passwords/password.entity.js';
import { User } from '../../src/users/user.entity.js';
import { normalizeUsername } from '../../src/users/username.js';
import { boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { contract } from './basic.contract.js';

const basic = (username: string, password: string) => ({
  Authorization: formatBasic({ username, password }),
});
const base64 = (text: string, encoding: BufferEncoding = 'utf8') =>
  Buffer.from(text, encoding).toString('base64');

/** How often argon2 ran during `work`. */
async function argon2Runs<T>(booted: Booted, work: () => Promise<T>): Promise<{ runs: number; result: T }> {
  const verify = jest.spyOn(booted.app.get(PasswordHashing), 'verify');
  const result = await work();
  const runs = verify.mock.calls.length;
  verify.mockRestore();
  return { runs, result };
}

let nextAddress = 0;
/** A client address that no other test has used, from the ranges for documentation (RFC 5737). */
const freshAddress = () => `203.0.${113 + Math.floor(nextAddress / 250)}.${(nextAddress++ % 250) + 1}`;

const setPassword = async (booted: Booted, userId: string, password: string) =>
  booted.db.manager.save(Password, {
    userId,
    hash: await booted.app.get(PasswordHashing).hash(password),
    changedAt: new Date(),
  });

async function addUser(booted: Booted, id: string, password: string): Promise<void> {
  await booted.db.manager.insert(User, {
    id,
    username: id,
    tenantId: 'acme',
    roles: ['viewer'],
    kind: 'user',
    disabledAt: null,
    epoch: 0,
  });
  await setPassword(booted, id, password);
}

function expectRejected(response: TestResponse, code = 'invalid_credentials') {
  expect({ status: response.status, code: response.body.code }).toEqual({ status: 401, code });
  expect(response.headers.get('www-authenticate')).toMatch(contract.challenge);
}

function throttled(response: TestResponse) {
  expect({ status: response.status, code: response.body.code }).toEqual({
    status: 429,
    code: 'too_many_attempts',
  });
  const seconds = Number(response.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(15 * 60);
}

@Controller()
class OpenRoute {
  @Get('open')
  @Public()
  open() {
    return { open: true };
  }
}

satisfiesTheContract(contract);

describe('HTTP Basic', () => {
  let booted: Booted;
  // The tests send requests as a trusted proxy, so that each can have its own client address.
  beforeAll(
    async () => (booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' }, controllers: [OpenRoute] })),
  );
  afterAll(() => booted.close());
  afterEach(() => void jest.restoreAllMocks());

  const attempt = (username: string, password: string, from: string) =>
    client(booted.origin).get('/demo/basic', { ...basic(username, password), 'X-Forwarded-For': from });
  const counters = () => booted.db.sql<{ key: string; points: number }[]>`
    SELECT * FROM login_failures WHERE key NOT LIKE 'credentials:%' ORDER BY key`;
  const send = (Authorization: string, from = freshAddress()) =>
    client(booted.origin).get('/demo/basic', { Authorization, 'X-Forwarded-For': from });

  /** Rejected for its form, before a password is verified. */
  const malformed = async (Authorization: string) => {
    const { runs, result } = await argon2Runs(booted, () => send(Authorization));
    expectRejected(result);
    expect(runs).toBe(0);
  };

  it('challenges with Basic and UTF-8', async () => {
    expectRejected(await client(booted.origin).get('/demo/basic'), 'unauthenticated');
  });

  it('accepts "username:password" in Base64', async () => {
    const response = await client(booted.origin).get('/demo/basic', {
      Authorization: 'Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU=',
    });
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({ id: 'bob', tenantId: 'acme', roles: ['editor'] });
    expect(response.body.proofs).toEqual([
      { method: 'basic', at: expect.any(String), amr: ['pwd'], bound: false, signIn: true },
    ]);
  });

  it('has a client that writes the header', async () => {
    const request = withBasic('bob', DEMO_PASSWORD)(new Request(`${booted.origin}/demo/basic`));
    expect(request.headers.get('Authorization')).toBe('Basic Ym9iOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGU=');
    expect((await fetch(request)).status).toBe(200);
    expect(() => withBasic('a:b', 'x')(request)).toThrow('colon');
  });

  it('splits at the first colon, so a password may contain colons', async () => {
    await addUser(booted, 'colons', ':a:b:');
    expect((await attempt('colons', ':a:b:', freshAddress())).status).toBe(200);
    expectRejected(await attempt('colons', 'a:b:', freshAddress()));
  });

  it('accepts composed and decomposed letters as the same password', async () => {
    await addUser(booted, 'accents', 'caf\u00e9 noir');
    expect((await attempt('accents', 'cafe\u0301\u00a0noir', freshAddress())).status).toBe(200);
    expectRejected(await attempt('accents', 'cafe noir', freshAddress()));
  });

  it('ignores case in usernames', async () => {
    expect((await attempt('BOB', DEMO_PASSWORD, freshAddress())).body.id).toBe('bob');
  });

  describe('caching a verified password for five minutes', () => {
    it('runs argon2 once per password and address', async () => {
      await addUser(booted, 'frequent', 'one');
      const [home, elsewhere] = [freshAddress(), freshAddress()];
      const runs = async (password: string, from: string) =>
        (await argon2Runs(booted, () => attempt('frequent', password, from))).runs;
      expect(await runs('one', home)).toBe(1);
      expect(await runs('one', home)).toBe(0);
      expect(await runs('one', elsewhere)).toBe(1);
      expect(await runs('two', home)).toBe(1);
      expect(await runs('two', home)).toBe(1);
    });

    it('verifies many concurrent requests with one password once', async () => {
      await addUser(booted, 'parallel', 'one');
      const from = freshAddress();
      const { runs, result } = await argon2Runs(booted, () =>
        Promise.all(Array.from({ length: 30 }, () => attempt('parallel', 'one', from))),
      );
      expect(result.map(({ status }) => status)).toEqual(Array(30).fill(200));
      expect(runs).toBe(1);
    });

    it('rejects the old password on the next request after a change', async () => {
      await addUser(booted, 'changing', 'old');
      const from = freshAddress();
      expect((await attempt('changing', 'old', from)).status).toBe(200);
      await setPassword(booted, 'changing', 'new');
      expectRejected(await attempt('changing', 'old', from));
      expect((await attempt('changing', 'new', from)).status).toBe(200);
    });

    it('rejects a disabled account on the next request', async () => {
      await addUser(booted, 'leaving', 'one');
      const from = freshAddress();
      expect((await attempt('leaving', 'one', from)).status).toBe(200);
      await booted.db.manager.update(User, { id: 'leaving' }, { disabledAt: new Date() });
      expectRejected(await attempt('leaving', 'one', from));
    });
  });

  describe('attacks', () => {
    it('gives an unknown username the same cost and response as a known one', async () => {
      await addUser(booted, 'disabled', 'one');
      await booted.db.manager.update(User, { id: 'disabled' }, { disabledAt: new Date() });
      const from = freshAddress();
      const claims = [
        ['alice', 'wrong'],
        ['nobody', 'wrong'],
        ['n\u00f6body', 'wrong'],
        ['disabled', 'one'],
        ['acme-machine', 'wrong'],
      ] as const;
      const seen = [];
      for (const [username, password] of claims) {
        const { runs, result } = await argon2Runs(booted, () => attempt(username, password, from));
        const { requestId: _, ...body } = result.body;
        const { date: __, 'x-request-id': ___, ...headers } = Object.fromEntries(result.headers);
        seen.push({ runs, status: result.status, body, headers });
      }
      expect(seen[0]).toMatchObject({ runs: 1, status: 401, body: { code: 'invalid_credentials' } });
      for (const other of seen) expect(other).toEqual(seen[0]);
    });

    it('throttles an unknown username like a known one', async () => {
      await addUser(booted, 'someone', 'one');
      for (const username of ['someone', 'no-such-name']) {
        for (let i = 0; i < 10; i++) expectRejected(await attempt(username, `wrong ${i}`, freshAddress()));
        throttled(await attempt(username, 'wrong', freshAddress()));
      }
    });

    it('rejects a token without a colon', async () => {
      await malformed(`Basic ${base64('alice')}`);
    });

    it('rejects an empty username or password, and counts a failure of the address', async () => {
      await addUser(booted, 'careless', '');
      const before = await counters();
      const from = freshAddress();
      for (const pair of ['alice:', ':x', ':', 'acme-machine:', 'careless:'])
        expectRejected(await send(`Basic ${base64(pair)}`, from));
      const added = (await counters()).filter(({ key }) => !before.some((old) => old.key === key));
      const ofAddress = added.filter(({ key }) => key.startsWith('address:'));
      expect(ofAddress.map(({ points }) => points)).toEqual([5]);
    });

    it('accepts the UTF-8 example of RFC 7617, and rejects its Latin-1 form', async () => {
      await addUser(booted, 'test', '123\u00a3');
      expect((await send('Basic dGVzdDoxMjPCow==')).body.id).toBe('test');
      await malformed(`Basic ${base64('test:123\u00a3', 'latin1')}`);
    });

    it('rejects usernames that look like another account', async () => {
      const lookAlikes = ['\u0430lice', '\uff41lice', 'alice ', ' alice', 'ali\u200bce', '\ufeffalice'];
      for (const name of lookAlikes) {
        expect(normalizeUsername(name)).toBeUndefined();
        expectRejected(await attempt(name, DEMO_PASSWORD, freshAddress()));
      }
    });

    it('rejects Base64 that is not canonical', async () => {
      const good = base64(`bob:${DEMO_PASSWORD}`);
      const bad = [
        '%%%',
        'Zm9v=bar',
        good.slice(0, -1),
        `${good}=`,
        `${good.slice(0, 8)} ${good.slice(8)}`,
        `${good.slice(0, 8)}\t${good.slice(8)}`,
        // The last letter has unused bits, which lenient decoders ignore.
        good.replace(/U=$/, 'V='),
        // The URL-safe alphabet, with bytes that need it.
        Buffer.from('bob:\u00bf\u00ff?>', 'utf8').toString('base64url'),
        Buffer.from('bob:\xff\xfe', 'latin1').toString('base64'),
        base64('bob:with\u0000null'),
        base64('bob:two\r\nlines'),
      ];
      expect(good).toMatch(/U=$/);
      for (const token of bad) await malformed(`Basic ${token}`);
    });

    it('accepts the scheme in any case, and rejects ambiguous forms', async () => {
      const token = base64(`bob:${DEMO_PASSWORD}`);
      for (const scheme of ['basic', 'BASIC', 'bAsIc', 'Basic  '])
        expect((await send(`${scheme} ${token}`)).status).toBe(200);
      for (const value of [`Basic\t${token}`, `Basic,Bearer ${token}`, `Basic ${token}, Bearer x`, 'Basic'])
        await malformed(value);
      expectRejected(await send('Bearer x'), 'invalid_token');
      expectRejected(await send(`Basic${token}`), 'invalid_token');
    });

    it('rejects two Authorization headers', async () => {
      const good = `Authorization: ${basic('bob', DEMO_PASSWORD).Authorization}`;
      for (const pair of [
        [good, 'Authorization: Bearer x'],
        ['Authorization: Bearer x', good],
      ]) {
        const response = await client(booted.origin).raw(
          'GET /demo/basic HTTP/1.1',
          'Host: localhost',
          'Connection: close',
          ...pair,
          '',
        );
        expect(response).toMatch(/^HTTP\/1\.1 400 /);
        expect(response).toContain('duplicate_header');
      }
    });

    it('compares every byte of a long password', async () => {
      const password = 'x'.repeat(73);
      await addUser(booted, 'verbose', password);
      expectRejected(await attempt('verbose', password.slice(0, 72), freshAddress()));
      expectRejected(await attempt('verbose', `${password}x`, freshAddress()));
      expect((await attempt('verbose', password, freshAddress())).status).toBe(200);
    });

    it('blocks unknown addresses after ten wrong guesses at an account', async () => {
      await addUser(booted, 'target', 'one');
      const from = freshAddress();
      for (let i = 0; i < 10; i++) expectRejected(await attempt('target', `guess ${i}`, from));
      const { runs } = await argon2Runs(booted, async () => {
        throttled(await attempt('target', 'guess 11', from));
        // Also for the right password: otherwise 429 would mean a wrong guess.
        throttled(await attempt('target', 'one', from));
        for (let i = 0; i < 20; i++) throttled(await attempt('target', `guess ${i}`, freshAddress()));
      });
      expect(runs).toBe(0);
      expect((await attempt('bob', DEMO_PASSWORD, from)).status).toBe(200);
    });

    it('counts concurrent guesses before it verifies them', async () => {
      await addUser(booted, 'rushed', 'one');
      const { runs, result } = await argon2Runs(booted, () =>
        Promise.all(Array.from({ length: 16 }, (_, i) => attempt('rushed', `guess ${i}`, freshAddress()))),
      );
      expect(runs).toBe(10);
      expect(result.filter(({ status }) => status === 401)).toHaveLength(10);
      result.filter(({ status }) => status !== 401).forEach(throttled);
    });

    it("does not accept a blocked guess from the owner's cache entry", async () => {
      await addUser(booted, 'online', 'one');
      const [owner, attacker] = [freshAddress(), freshAddress()];
      expect((await attempt('online', 'one', owner)).status).toBe(200);
      for (let i = 0; i < 10; i++) expectRejected(await attempt('online', `guess ${i}`, attacker));
      throttled(await attempt('online', 'one', attacker));
    });

    it('lets the owner sign in from a known address during an attack', async () => {
      await addUser(booted, 'owner', 'one');
      const [home, attacker, hotel] = [freshAddress(), freshAddress(), freshAddress()];
      expect((await attempt('owner', 'one', home)).status).toBe(200);
      for (let i = 0; i < 10; i++) expectRejected(await attempt('owner', `guess ${i}`, attacker));
      throttled(await attempt('owner', 'one', hotel));

      // The known address still works, also without the cache and after a typing error.
      await setPassword(booted, 'owner', 'two');
      expectRejected(await attempt('owner', 'tow', home));
      expect((await attempt('owner', 'two', home)).status).toBe(200);

      // Every address works again after 15 minutes.
      await booted.db.sql`UPDATE login_failures SET expire = ${Date.now() - 1}`;
      expect((await attempt('owner', 'two', hotel)).status).toBe(200);
      const known = await booted.db.manager.findBy(KnownAddress, { userId: 'owner' });
      expect(known.map(({ address }) => address).sort()).toEqual([home, hotel].sort());
    });

    it('limits each known address separately', async () => {
      await addUser(booted, 'flatmate', 'one');
      const [home, office] = [freshAddress(), freshAddress()];
      for (const from of [home, office]) expect((await attempt('flatmate', 'one', from)).status).toBe(200);
      await setPassword(booted, 'flatmate', 'two');
      for (let i = 0; i < 10; i++) expectRejected(await attempt('flatmate', `guess ${i}`, home));
      throttled(await attempt('flatmate', 'two', home));
      for (const from of [office, freshAddress()])
        expect((await attempt('flatmate', 'two', from)).status).toBe(200);
    });

    it('blocks an address that tries one password on many accounts', async () => {
      const from = freshAddress();
      for (let i = 0; i < 50; i++) expectRejected(await attempt(`account-${i}`, 'Winter2026!', from));
      const before = await counters();
      throttled(await attempt('account-50', 'Winter2026!', from));
      throttled(await attempt('alice', DEMO_PASSWORD, from));
      expect(await counters()).toEqual(before);
      expect((await attempt('alice', DEMO_PASSWORD, freshAddress())).status).toBe(200);
    });

    it('counts the addresses of one IPv6 /64 together', async () => {
      for (let i = 0; i < 50; i++)
        expectRejected(await attempt(`account6-${i}`, 'Winter2026!', `2001:db8:1:2::${i + 1}`));
      throttled(await attempt('account6-50', 'Winter2026!', '2001:db8:1:2:ffff:ffff:ffff:ffff'));
      expect((await attempt('alice', DEMO_PASSWORD, '2001:db8:1:3::1')).status).toBe(200);
    });

    it('rejects a flood of logins with 503, while other routes respond', async () => {
      const before = await counters();
      const flood = Promise.all(
        Array.from({ length: 64 }, (_, i) => attempt(`flood-${i}`, 'wrong', freshAddress())),
      );
      const others = Promise.all(Array.from({ length: 10 }, () => client(booted.origin).get('/open')));
      expect((await others).map(({ status }) => status)).toEqual(Array(10).fill(200));

      const responses = await flood;
      const turnedAway = responses.filter(({ status }) => status === 503);
      expect(turnedAway.length).toBeGreaterThan(0);
      for (const { headers, body } of turnedAway)
        expect({ code: body.code, retryAfter: headers.get('retry-after') }).toEqual({
          code: 'temporarily_unavailable',
          retryAfter: '1',
        });
      const verified = responses.filter(({ status }) => status !== 503);
      expect(verified.length).toBeGreaterThanOrEqual(18);
      verified.forEach((response) => expectRejected(response));
      // A request with 503 is not counted: two counters for each of the others.
      expect((await counters()).length - before.length).toBe(verified.length * 2);
    });
  });
});

describe('attacks on HTTP Basic without a proxy in front', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('ignores X-Forwarded-For of an untrusted peer', async () => {
    const guess = (i: number) =>
      client(booted.origin).get('/demo/basic', {
        ...basic(`stuffed-${i}`, 'leaked'),
        'X-Forwarded-For': freshAddress(),
      });
    for (let i = 0; i < 50; i++) expectRejected(await guess(i));
    throttled(await guess(50));
    const rows = await booted.db.sql<{ points: number }[]>`
      SELECT points FROM login_failures WHERE key LIKE ${'address:%'}`;
    expect(rows).toEqual([{ points: 50 }]);
  });
});
