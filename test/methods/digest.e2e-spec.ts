import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import DigestFetch from 'digest-fetch';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Authenticate, SelfService } from '../../src/authentication/plan.js';
import { InvalidSettings, Settings } from '../../src/config/settings.js';
import { DEMO_PASSWORD } from '../../src/users/users.demo.js';
import {
  respondToChallenge,
  isServerAuthentic,
  parseChallenges,
  withDigest,
  type DigestRequest,
  type DigestChallenge,
} from '../../src/methods/digest/digest.client.js';
import { REALM, readDigestConfig } from '../../src/methods/digest/digest.config.js';
import { DigestCredentials } from '../../src/methods/digest/digest.credentials.service.js';
import { DigestNonceCounts } from '../../src/methods/digest/digest.nonce-counts.service.js';
import { DigestService } from '../../src/methods/digest/digest.service.js';
import { DigestCredential, DigestNonce } from '../../src/methods/digest/digest.entity.js';
import { computeResponse, computeUserhash } from '../../src/methods/digest/digest.js';
import { parseParameters } from '../../src/methods/digest/digest.parser.js';
import { digestNonces } from '../../src/methods/digest/digest.strategy.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import type { StatelessNonces } from '../../src/crypto/stateless-nonce.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { KnownAddress, Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { TooManyAttempts } from '../../src/rate-limits/too-many-attempts.js';
import { User } from '../../src/users/user.entity.js';
import { RANDOM_SECRET, as, boot, client, type TestResponse, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { contract } from './digest.contract.js';

satisfiesTheContract(contract);

const DEMO = '/demo/digest';
const MINUTE = 60_000;
/** The settings that offer everything but MD5. */
const OFFER_ALL = { DIGEST_OFFER_SHA_512_256: 'true', DIGEST_OFFER_AUTH_INT: 'true' };

let nextAddress = 0;
/** A client address that no other test uses. */
const freshAddress = () => `203.0.${113 + Math.floor(nextAddress / 250)}.${(nextAddress++ % 250) + 1}`;

@Controller()
@SelfService()
class Echo {
  @Post('echo')
  @Authenticate('digest')
  echo(@Body() body: unknown) {
    return { body: body ?? null };
  }
}

async function addUser({ app, db }: Pick<Booted, 'app' | 'db'>, id: string, password: string) {
  const account = { username: id, tenantId: 'acme', kind: 'user', disabledAt: null, epoch: 0 } as const;
  await db.manager.insert(User, { id, ...account, roles: ['viewer'] });
  const hash = await app.get(PasswordHashing).hash(password);
  await db.manager.insert(Password, { userId: id, hash, changedAt: new Date() });
}

/** Creates credentials for other settings. */
function credentialsWith({ db }: Pick<Booted, 'db'>, env: Record<string, string>): DigestCredentials {
  const settings = Settings.from({ NODE_ENV: 'test', ...env });
  return new DigestCredentials(readDigestConfig(settings), db, new SecretBox(settings, 'digest'));
}

const me = (id: string) => as({ id, roles: ['viewer'] });

/** Enables Digest for an account. */
const enableDigest = ({ origin }: Pick<Booted, 'origin'>, id: string, password: string) =>
  client(origin, me(id)).send('PUT', '/digest', { body: { password } });

async function challengesOf(origin: string, path = DEMO): Promise<DigestChallenge[]> {
  const { headers } = await client(origin).get(path);
  return parseChallenges(headers.get('www-authenticate') ?? '');
}

const challengeOf = async (origin: string, algorithm = 'SHA-256') =>
  (await challengesOf(origin)).find((each) => each.algorithm === algorithm)!;

/** The Authorization header of bob for a challenge. */
const respondAsBob = (challenge: DigestChallenge, more: Partial<DigestRequest> = {}) =>
  respondToChallenge('bob', DEMO_PASSWORD, challenge, { method: 'GET', uri: DEMO, ...more });

function expectRejected(response: TestResponse, stale = false) {
  expect({ status: response.status, code: response.body.code }).toEqual({
    status: 401,
    code: 'invalid_digest',
  });
  const challenges = response.headers.get('www-authenticate') ?? '';
  expect(challenges).toMatch(/^Digest realm="auth-atlas", qop="auth, auth-int", algorithm=SHA-256, nonce="/);
  expect(parseChallenges(challenges).map((each) => each.stale)).toEqual([stale, stale]);
}

function expectTooManyAttempts({ status, body }: TestResponse) {
  expect({ status, code: body.code }).toEqual({ status: 429, code: 'too_many_attempts' });
}

describe('HTTP Digest', () => {
  let booted: Booted;
  let nonces: StatelessNonces;
  // The tests act as a trusted proxy, so that each can use its own client address.
  beforeAll(async () => {
    booted = await boot({ env: { ...OFFER_ALL, TRUST_PROXY: '127.0.0.1' }, controllers: [Echo] });
    nonces = digestNonces(booted.app.get(Settings));
  });
  afterAll(() => booted.close());

  const send = (Authorization: string, path = DEMO, from = freshAddress()) =>
    client(booted.origin).get(path, { Authorization, 'X-Forwarded-For': from });
  const challenge = (algorithm?: string) => challengeOf(booted.origin, algorithm);
  /** All rows that an attack could change. */
  const state = async () => ({
    nonces: await booted.db.manager.find(DigestNonce, { order: { id: 'ASC' } }),
    credentials: await booted.db.manager.find(DigestCredential, { order: { userId: 'ASC' } }),
    addresses: await booted.db.manager.count(KnownAddress),
  });
  const forgetFailures = () => booted.db.sql`DELETE FROM login_failures`;
  const failures = () =>
    booted.db.sql<unknown[]>`SELECT * FROM login_failures WHERE key NOT LIKE 'credentials:%' ORDER BY key`;

  it('offers SHA-256, then SHA-512-256, with a new nonce each time', async () => {
    const [first, second, ...others] = await challengesOf(booted.origin);
    expect(others).toEqual([]);
    expect(first).toEqual({
      algorithm: 'SHA-256',
      realm: 'auth-atlas',
      nonce: expect.stringMatching(/^[\da-f]{8}\.[\w-]{64}$/),
      qops: ['auth', 'auth-int'],
      userhash: true,
      stale: false,
    });
    expect(second).toEqual({ ...first, algorithm: 'SHA-512-256' });
    expect((await challenge()).nonce).not.toBe(first!.nonce);
  });

  it.each(['SHA-256', 'SHA-512-256'])(
    'accepts %s, with the username and with its hash',
    async (algorithm) => {
      for (const userhash of [true, false])
        expect((await send(respondAsBob({ ...(await challenge(algorithm)), userhash }))).status).toBe(200);
    },
  );

  it('returns an unbound proof with the amr pwd', async () => {
    const { body } = await send(respondAsBob(await challenge()));
    expect(body.proofs).toEqual([
      { method: 'digest', at: expect.any(String), amr: ['pwd'], bound: false, signIn: true },
    ]);
  });

  it('accepts username*, but not together with username', async () => {
    const header = respondAsBob({ ...(await challenge()), userhash: false });
    const extended = (value: string) => header.replace('username="bob"', `username*=${value}`);
    expectRejected(await send(header.replace('username="bob"', `username="bob", username*=UTF-8''bob`)));
    expectRejected(await send(extended("ISO-8859-1''bob")));
    expectRejected(await send(`${extended("UTF-8''bob")}, userhash=true`));
    expect((await send(extended("UTF-8'en'%62ob"))).status).toBe(200);
  });

  it('rejects another spelling of the username', async () => {
    const challenged = { ...(await challenge()), userhash: false };
    const options = { method: 'GET', uri: DEMO };
    for (const userhash of [true, false])
      expectRejected(
        await send(respondToChallenge('BOB', DEMO_PASSWORD, { ...challenged, userhash }, options)),
      );
    expectRejected(await send(respondAsBob(challenged).replace('"bob"', '"BOB"')));
    expect((await send(respondAsBob(challenged))).status).toBe(200);
  });

  it('normalizes the Unicode form of the password', async () => {
    await addUser(booted, 'accents', 'caf\u00e9 noir \u2713');
    expect((await enableDigest(booted, 'accents', 'cafe\u0301 noir \u2713')).status).toBe(200);
    const response = async (password: string) =>
      send(respondToChallenge('accents', password, await challenge(), { method: 'GET', uri: DEMO }));
    expect((await response('caf\u00e9 noir \u2713')).body.id).toBe('accents');
    expect((await response('cafe\u0301 noir \u2713')).status).toBe(200);
    expectRejected(await response('cafe noir \u2713'));
  });

  it('accepts a nonce repeatedly while its count increases', async () => {
    const challenged = await challenge();
    const count = async (n: number) => send(respondAsBob(challenged, { nc: n }));
    for (const n of [1, 2, 9, 0x10, 0xffffffff]) expect((await count(n)).status).toBe(200);
  });

  describe('Authentication-Info', () => {
    const exchange = async (path = DEMO, init: RequestInit = {}) => {
      const request = await withDigest('bob', DEMO_PASSWORD)(new Request(booted.origin + path, init));
      return { request, response: await fetch(request.clone()) };
    };

    it.each(['auth', 'auth-int'] as const)(
      'proves with %s that the server stores the password hash',
      async (qop) => {
        const Authorization = respondAsBob(await challenge(), { qop });
        const response = await fetch(booted.origin + DEMO, { headers: { Authorization } });
        const info = response.headers.get('authentication-info');
        expect(info).toMatch(
          new RegExp(`^rspauth="[\\da-f]{64}", qop=${qop}, nc=00000001, cnonce="[\\w-]{24}"$`),
        );
        const request = new Request(booted.origin + DEMO, { headers: { Authorization } });
        expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
        expect(await isServerAuthentic('bob', 'another', request, response)).toBe(false);
      },
    );

    it('covers the response body with auth-int, also of an error', async () => {
      const { request, response } = await exchange('/documents/no-such-document');
      expect(response.status).toBe(404);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
      const forged = new Response(`${await response.text()} `, response);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, forged)).toBe(false);
    });

    it('covers an empty body for HEAD with auth-int', async () => {
      const { request, response } = await exchange('/me', { method: 'HEAD' });
      expect(response.status).toBe(200);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
    });

    it('is absent from a 401', async () => {
      const wrong = respondToChallenge('bob', 'wrong', await challenge(), { method: 'GET', uri: DEMO });
      expect((await send(wrong)).headers.get('authentication-info')).toBeNull();
    });
  });

  describe('a nonce, valid for five minutes', () => {
    const issuedAgo = async (minutes: number) => ({
      ...(await challenge()),
      nonce: nonces.issue(Date.now() - minutes * MINUTE),
    });

    it('rejects a correct response to an expired nonce with stale=true and a new nonce', async () => {
      const response = await send(respondAsBob(await issuedAgo(5)));
      expectRejected(response, true);
      expect(response.headers.get('www-authenticate')).toContain('stale=true');
      const [fresh] = parseChallenges(response.headers.get('www-authenticate')!);
      expect((await send(respondAsBob(fresh!))).status).toBe(200);
    });

    it('rejects a wrong response to an expired nonce without stale=true', async () => {
      const wrong = respondToChallenge('bob', 'wrong', await issuedAgo(5), { method: 'GET', uri: DEMO });
      expectRejected(await send(wrong));
    });

    it('sends nextnonce after half of the lifetime', async () => {
      const challenged = await issuedAgo(3);
      const { status, headers } = await send(respondAsBob(challenged));
      expect(status).toBe(200);
      const [, nonce = ''] = /nextnonce="([^"]+)"$/.exec(headers.get('authentication-info') ?? '') ?? [];
      expect((await send(respondAsBob({ ...challenged, nonce }))).status).toBe(200);
      const early = await send(respondAsBob(await challenge()));
      expect(early.headers.get('authentication-info')).not.toContain('nextnonce');
    });

    it('is deleted an hour after it expired', async () => {
      const ids = (await booted.db.manager.find(DigestNonce)).map(({ id }) => id);
      const until = Math.floor(Date.now() / 1000);
      await booted.db.manager.insert(DigestNonce, [
        { id: 'expired an hour ago', nc: 1, until: until - 3602 },
        { id: 'expired later', nc: 1, until: until - 3500 },
      ]);
      await booted.app.get(DigestNonceCounts).cleanUp();
      const kept = (await booted.db.manager.find(DigestNonce)).map(({ id }) => id);
      expect(kept.sort()).toEqual([...ids, 'expired later'].sort());
    });
  });

  describe('enabling and disabling', () => {
    it('requires the password, and is recorded in the audit log', async () => {
      await addUser(booted, 'frida', 'swan lake at four');
      const frida = client(booted.origin, me('frida'));
      const signIn = async () =>
        send(
          respondToChallenge('frida', 'swan lake at four', await challenge(), { method: 'GET', uri: DEMO }),
        );
      expect((await frida.get('/digest')).body).toEqual({ enabled: false });
      expectRejected(await signIn());

      const on = { enabled: true, enabledAt: expect.any(String) };
      const { status, body } = await enableDigest(booted, 'frida', 'swan lake at four');
      expect({ status, body }).toEqual({ status: 200, body: on });
      expect((await frida.get('/digest')).body).toEqual(on);
      expect((await signIn()).body.id).toBe('frida');

      for (let i = 0; i < 2; i++) expect((await frida.send('DELETE', '/digest')).status).toBe(204);
      expectRejected(await signIn());
      expect((await frida.get('/digest')).body).toEqual({ enabled: false });
      const events = await booted.db.manager.find(AuditEvent, {
        where: { target: 'digest:frida' },
        order: { seq: 'ASC' },
      });
      expect(events.map(({ event }) => event)).toEqual(['authn_token_created', 'authn_token_revoked']);
    });

    it('stores H(A1) encrypted', async () => {
      await addUser(booted, 'sealed', 'a password to be kept');
      await enableDigest(booted, 'sealed', 'a password to be kept');
      const row = await booted.db.manager.findOneByOrFail(DigestCredential, { userId: 'sealed' });
      expect(row.sealed).toMatch(/^[\da-f]{8}\.[\w-]+$/);
      expect(Buffer.from(row.sealed.split('.')[1]!, 'base64url').toString('latin1')).not.toContain('SHA-256');
      expect(row.userhashSha256).toBe(computeUserhash('SHA-256', 'sealed', REALM));
    });

    it('rejects a wrong password, and counts it as a failed attempt', async () => {
      await addUser(booted, 'guessed', 'the right one of them');
      const response = await enableDigest(booted, 'guessed', 'the wrong one');
      expect({ status: response.status, code: response.body.code }).toEqual({
        status: 403,
        code: 'incorrect_password',
      });
      const [event] = await booted.db.manager.findBy(AuditEvent, { target: 'digest:guessed' });
      expect(event).toMatchObject({ event: 'authn_login_fail', userId: 'guessed' });
      for (let i = 0; i < 9; i++)
        expect((await enableDigest(booted, 'guessed', `wrong ${i}`)).status).toBe(403);
      expectTooManyAttempts(await enableDigest(booted, 'guessed', 'the right one of them'));
    });

    it('rejects a password that is changed concurrently', async () => {
      await addUser(booted, 'hurried', 'the one before');
      const passwords = booted.app.get(PasswordsService);
      const verify = passwords.verifyWithHash.bind(passwords);
      jest.spyOn(passwords, 'verifyWithHash').mockImplementationOnce(async (...claim) => {
        const proved = await verify(...claim);
        const hash = await booted.app.get(PasswordHashing).hash('the one after');
        await booted.db.manager.update(Password, { userId: 'hurried' }, { hash, changedAt: new Date() });
        return proved;
      });
      const { status, body } = await enableDigest(booted, 'hurried', 'the one before');
      jest.restoreAllMocks();
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'incorrect_password' });
      expect(await booted.db.manager.existsBy(DigestCredential, { userId: 'hurried' })).toBe(false);
    });

    it('rejects an account without a password', async () => {
      const machine = client(booted.origin, as({ id: 'acme-machine', kind: 'client' }));
      const { status, body } = await machine.send('PUT', '/digest', { body: { password: DEMO_PASSWORD } });
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'password_not_set' });
    });

    it('rejects a limited credential', async () => {
      const proof = { method: 'test', at: new Date(), amr: [], bound: false, restricted: true } as const;
      for (const limit of [{ scopes: ['documents:read'] }, { proofs: [proof] as const }]) {
        const limited = client(booted.origin, as({ id: 'bob', ...limit }));
        for (const response of [
          await limited.send('PUT', '/digest', { body: { password: DEMO_PASSWORD } }),
          await limited.send('DELETE', '/digest'),
        ])
          expect({ status: response.status, code: response.body.code }).toEqual({
            status: 403,
            code: 'limited_credential',
          });
      }
      expect((await send(respondAsBob(await challenge()))).status).toBe(200);
    });

    it('ends with a password change, and deletes the outdated row', async () => {
      await addUser(booted, 'changing', 'the first of two');
      await enableDigest(booted, 'changing', 'the first of two');
      const signIn = async (password: string) =>
        send(respondToChallenge('changing', password, await challenge(), { method: 'GET', uri: DEMO }));
      expect((await signIn('the first of two')).status).toBe(200);

      const hash = await booted.app.get(PasswordHashing).hash('the second of two');
      await booted.db.manager.update(Password, { userId: 'changing' }, { hash, changedAt: new Date() });
      expectRejected(await signIn('the first of two'));
      expectRejected(await signIn('the second of two'));
      expect((await client(booted.origin, me('changing')).get('/digest')).body).toEqual({ enabled: false });

      const others = await booted.db.manager.countBy(DigestCredential, {});
      await booted.app.get(DigestService).cleanUp();
      expect(await booted.db.manager.existsBy(DigestCredential, { userId: 'changing' })).toBe(false);
      expect(await booted.db.manager.countBy(DigestCredential, {})).toBe(others - 1);

      await enableDigest(booted, 'changing', 'the second of two');
      expect((await signIn('the second of two')).status).toBe(200);
    });
  });

  describe('third-party clients', () => {
    const curl = async (...more: string[]) =>
      (await promisify(execFile)('curl', ['-s', '--digest', ...more])).stdout;
    const asBob = ['-u', `bob:${DEMO_PASSWORD}`];

    it('curl --digest is accepted, with SHA-256 and userhash', async () => {
      const seen = await curl('-v', '--stderr', '-', ...asBob, booted.origin + DEMO);
      expect(seen).toMatch(
        /^> Authorization: Digest username="[\da-f]{64}".* algorithm=SHA-256, userhash=true/m,
      );
      expect(seen).toContain('"id":"bob"');
      expect(JSON.parse(await curl('-u', 'bob:wrong', booted.origin + DEMO))).toMatchObject({
        code: 'invalid_digest',
      });
    });

    it('curl --digest is accepted with a body', async () => {
      const json = ['-H', 'Content-Type: application/json', '-d', '{"title":"by digest"}'];
      expect(JSON.parse(await curl(...asBob, ...json, `${booted.origin}/documents`))).toMatchObject({
        title: 'by digest',
        ownerId: 'bob',
      });
    });

    it.each(['SHA-256', 'SHA-512-256'])('digest-fetch is accepted with %s, repeatedly', async (algorithm) => {
      const other = new DigestFetch('bob', DEMO_PASSWORD, { algorithm });
      for (let i = 0; i < 12; i++) {
        const response = await other.fetch(`${booted.origin}${DEMO}?round=${i}`);
        expect({ status: response.status, body: await response.json() }).toMatchObject({
          status: 200,
          body: { id: 'bob', proofs: [{ method: 'digest' }] },
        });
      }
      const wrong = new DigestFetch('bob', 'wrong', { algorithm });
      expect((await wrong.fetch(booted.origin + DEMO)).status).toBe(401);
    });
  });

  describe('guessing passwords', () => {
    const guess = async (id: string, password: string, from: string) =>
      send(respondToChallenge(id, password, await challenge(), { method: 'GET', uri: DEMO }), DEMO, from);
    const enrolled = async (id: string) => {
      await addUser(booted, id, 'the right one of all');
      await enableDigest(booted, id, 'the right one of all');
    };

    it('blocks unknown addresses after ten wrong responses for an account', async () => {
      await enrolled('target');
      for (let i = 0; i < 10; i++) expectRejected(await guess('target', `guess ${i}`, freshAddress()));
      expectTooManyAttempts(await guess('target', 'guess 10', freshAddress()));
      // Also a correct response. Otherwise the 429 would reveal a wrong guess.
      expectTooManyAttempts(await guess('target', 'the right one of all', freshAddress()));
      // A blocked attempt is not counted.
      const before = await failures();
      expectTooManyAttempts(await guess('target', 'guess 11', freshAddress()));
      expect(await failures()).toEqual(before);
      // The counter is shared with the other methods that verify passwords.
      const verified = booted.app
        .get(PasswordsService)
        .verify('target', 'the right one of all', freshAddress());
      await expect(verified).rejects.toThrow(TooManyAttempts);
    });

    it('counts concurrent guesses before it verifies them', async () => {
      await enrolled('rushed');
      const challenged = await challenge();
      const responses = await Promise.all(
        Array.from({ length: 16 }, (_, i) => {
          const options = { method: 'GET', uri: DEMO, nc: i + 1 };
          return send(respondToChallenge('rushed', `guess ${i}`, challenged, options));
        }),
      );
      expect(responses.filter(({ status }) => status === 401)).toHaveLength(10);
      responses.filter(({ status }) => status !== 401).forEach(expectTooManyAttempts);
    });

    it('counts guesses with an expired nonce', async () => {
      await enrolled('patient');
      const challenged = { ...(await challenge()), nonce: nonces.issue(Date.now() - 6 * MINUTE) };
      const response = (password: string) =>
        send(respondToChallenge('patient', password, challenged, { method: 'GET', uri: DEMO }));
      for (let i = 0; i < 10; i++) expectRejected(await response(`guess ${i}`));
      expectTooManyAttempts(await response('the right one of all'));
    });

    it('does not block the owner at a known address', async () => {
      await enrolled('owner');
      const [home, attacker] = [freshAddress(), freshAddress()];
      expect((await guess('owner', 'the right one of all', home)).status).toBe(200);
      for (let i = 0; i < 10; i++) expectRejected(await guess('owner', `guess ${i}`, attacker));
      expectTooManyAttempts(await guess('owner', 'the right one of all', attacker));
      expect((await guess('owner', 'the right one of all', home)).status).toBe(200);
    });

    it('does not learn an address from a replay', async () => {
      await enrolled('seen');
      const elsewhere = freshAddress();
      const options = { method: 'GET', uri: DEMO };
      const sent = respondToChallenge('seen', 'the right one of all', await challenge(), options);
      expect((await send(sent)).status).toBe(200);
      expectRejected(await send(sent, DEMO, elsewhere), true);
      const known = await booted.db.manager.existsBy(KnownAddress, { userId: 'seen', address: elsewhere });
      expect(known).toBe(false);
      for (let i = 0; i < 10; i++) expectRejected(await guess('seen', `guess ${i}`, elsewhere));
      expectTooManyAttempts(await guess('seen', 'the right one of all', elsewhere));
    });

    it('counts guesses for an unknown username and userhash', async () => {
      const challenged = await challenge();
      for (const userhash of [true, false]) {
        const response = () =>
          send(
            respondToChallenge(
              'no-such-name',
              'x',
              { ...challenged, userhash },
              { method: 'GET', uri: DEMO },
            ),
          );
        for (let i = 0; i < 10; i++) expectRejected(await response());
        expectTooManyAttempts(await response());
      }
    });

    it('counts neither successes nor stale responses', async () => {
      await enrolled('busy');
      const from = freshAddress();
      const challenged = await challenge();
      const response = (count: number, nonce = challenged.nonce) => {
        const options = { method: 'GET', uri: DEMO, nc: count };
        return send(
          respondToChallenge('busy', 'the right one of all', { ...challenged, nonce }, options),
          DEMO,
          from,
        );
      };
      expect((await response(1)).status).toBe(200);
      const before = await failures();
      for (let i = 2; i < 14; i++) expect((await response(i)).status).toBe(200);
      expect(await failures()).toEqual(before);
      for (let i = 0; i < 12; i++)
        expectRejected(await response(1, nonces.issue(Date.now() - 6 * MINUTE)), true);
      expect((await response(14)).status).toBe(200);
    });
  });

  describe('attacks', () => {
    beforeEach(forgetFailures);

    /** Expects a 401 and an unchanged state. Clears the counters before each attempt. */
    const expectUnchanged = async (attempt: () => Promise<TestResponse>, stale = false) => {
      await forgetFailures();
      const before = await state();
      expectRejected(await attempt(), stale);
      expect(await state()).toEqual(before);
    };

    it('rejects a replay and a lower count', async () => {
      const challenged = await challenge();
      const sent = respondAsBob(challenged, { nc: 5 });
      expect((await send(sent)).status).toBe(200);
      await expectUnchanged(() => send(sent), true);
      for (const count of [1, 4, 5])
        await expectUnchanged(() => send(respondAsBob(challenged, { nc: count })), true);
      expect((await send(respondAsBob(challenged, { nc: 6 }))).status).toBe(200);
      // The first count is 1.
      const unused = await challenge();
      await expectUnchanged(() => send(respondAsBob(unused, { nc: 0 })));
    });

    it('rejects a changed count', async () => {
      const sent = respondAsBob(await challenge());
      await expectUnchanged(() => send(sent.replace('nc=00000001', 'nc=00000002')));
      expect((await send(sent)).status).toBe(200);
    });

    it('rejects a nonce of another server or realm, without stale=true', async () => {
      const real = await challenge();
      const ofAnother = digestNonces(Settings.from({ APP_SECRET: 'x'.repeat(40) }));
      const ofAnotherRealm = digestNonces(booted.app.get(Settings), 'another');
      const flipped = `${real.nonce.slice(0, -1)}${real.nonce.endsWith('A') ? 'B' : 'A'}`;
      // The MAC covers the time.
      const withNewerTime = nonces.issue(Date.now() + MINUTE).slice(0, 17) + real.nonce.slice(17);
      for (const nonce of [
        ofAnother.issue(),
        ofAnotherRealm.issue(),
        flipped,
        withNewerTime,
        `${real.nonce}A`,
        real.nonce.toUpperCase(),
        `${real.nonce}=`,
        'x',
        '',
      ])
        await expectUnchanged(() => send(respondAsBob({ ...real, nonce })));
      expect((await send(respondAsBob(real))).status).toBe(200);
    });

    it('rejects another realm', async () => {
      const real = await challenge();
      await expectUnchanged(() => send(respondAsBob({ ...real, realm: 'another', userhash: false })));
      await expectUnchanged(() => send(respondAsBob(real).replace('realm="auth-atlas"', 'realm="another"')));
    });

    it('stores nothing for challenges and wrong responses', async () => {
      const before = await state();
      const nonces = new Set<string>();
      for (let round = 0; round < 20; round++)
        for (const { nonce } of await Promise.all(Array.from({ length: 25 }, () => challenge())))
          nonces.add(nonce);
      expect(nonces.size).toBe(500);
      for (const nonce of [...nonces].slice(0, 5))
        expectRejected(
          await send(
            respondToChallenge(
              'bob',
              'wrong',
              { ...(await challenge()), nonce },
              { method: 'GET', uri: DEMO },
            ),
          ),
        );
      expect(await state()).toEqual(before);
    });

    it('rejects an algorithm that was not offered, and a missing algorithm', async () => {
      const real = { ...(await challenge()), userhash: false };
      await expectUnchanged(() => send(respondAsBob({ ...real, algorithm: 'MD5' })));
      await expectUnchanged(() =>
        send(respondAsBob({ ...real, algorithm: 'MD5' }).replace(' algorithm=MD5,', '')),
      );
      await expectUnchanged(() => send(respondAsBob(real).replace(' algorithm=SHA-256,', '')));
      for (const name of ['SHA-256-sess', 'SHA-512-256-sess', 'sha-256', 'SHA-1', 'constructor', '""'])
        await expectUnchanged(() =>
          send(respondAsBob(real).replace('algorithm=SHA-256', `algorithm=${name}`)),
        );
      // Also if its hash is stored, because it was offered before.
      const { changedAt } = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
      const legacy = credentialsWith(booted, { ...OFFER_ALL, DIGEST_LEGACY_MD5: 'true' });
      const row = legacy.create({ id: 'bob', username: 'bob' }, DEMO_PASSWORD, changedAt);
      await booted.db.manager.upsert(DigestCredential, row, ['userId']);
      await expectUnchanged(() => send(respondAsBob({ ...real, algorithm: 'MD5' })));
      // Also another offered algorithm with the response of the first.
      await expectUnchanged(() => send(respondAsBob(real).replace('SHA-256', 'SHA-512-256')));
    });

    it('rejects a response for another method or target', async () => {
      const ofGet = respondAsBob(await challenge(), { uri: '/echo' });
      const post = (Authorization: string, path: string) =>
        client(booted.origin).send('POST', path, { headers: { Authorization } });
      await expectUnchanged(() => post(ofGet, '/echo'));

      const ofDemo = respondAsBob(await challenge());
      const before = await state();
      for (const path of ['/me', `${DEMO}?a=1`]) {
        const { status, body } = await send(ofDemo, path);
        expect({ status, code: body.code }).toEqual({ status: 400, code: 'digest_uri_mismatch' });
        await expectUnchanged(() => send(ofDemo.replace(`uri="${DEMO}"`, `uri="${path}"`), path));
      }
      const absolute = await send(respondAsBob(await challenge(), { uri: `${booted.origin}${DEMO}` }));
      expectRejected(absolute);
      expect(await state()).toEqual(before);
      expect((await send(ofDemo)).status).toBe(200);
    });

    it('rejects a changed body with auth-int', async () => {
      const post = (body: string, Authorization: string) =>
        client(booted.origin).send('POST', '/echo', { body, headers: { Authorization } });
      const body = '{"amount":1}';
      const of = async (text: string, qop: 'auth' | 'auth-int') =>
        respondAsBob(await challenge(), { method: 'POST', uri: '/echo', body: Buffer.from(text), qop });
      for (const other of ['{"amount":9}', '{"amount":1} ', ' {"amount":1}', '{"amount": 1}', '{}']) {
        const signed = await of(body, 'auth-int');
        await expectUnchanged(() => post(other, signed));
      }
      const covered = await of(body, 'auth-int');
      // The response covers the qop, so it cannot be downgraded.
      await expectUnchanged(() => post('{"amount":9}', covered.replace('qop=auth-int', 'qop=auth')));
      expect((await post(body, covered)).body).toEqual({ body: { amount: 1 } });
      // With auth the body is not covered. DIGEST_REQUIRE_AUTH_INT prevents this.
      expect((await post('{"amount":9}', await of(body, 'auth'))).status).toBe(201);
    });

    it('verifies the bytes of the body with auth-int, for any framing', async () => {
      const raw = async (signed: string, ...rest: string[]) => {
        const Authorization = respondAsBob(await challenge(), {
          method: 'POST',
          uri: '/echo',
          body: Buffer.from(signed),
          qop: 'auth-int',
        });
        const response = await client(booted.origin).raw(
          'POST /echo HTTP/1.1',
          'Host: localhost',
          'Connection: close',
          `Authorization: ${Authorization}`,
          ...rest,
        );
        return Number(response.slice(9, 12));
      };
      const json = 'Content-Type: application/json';
      const chunked = [json, 'Transfer-Encoding: chunked', '', '3', '{"a', '5', '":1} ', '0', ''];
      expect(await raw('{"a":1} ', ...chunked)).toBe(201);
      expect(await raw('{"a":1}', ...chunked)).toBe(401);
      expect(await raw('3\r\n{"a\r\n5\r\n":1} \r\n0\r\n\r\n', ...chunked)).toBe(401);
      // A missing body counts as an empty one, for any framing.
      expect(await raw('', '')).toBe(201);
      expect(await raw('', 'Content-Length: 0', '')).toBe(201);
      expect(await raw('', json, 'Transfer-Encoding: chunked', '', '0', '')).toBe(201);
      expect(await raw('{}', 'Content-Length: 0', '')).toBe(401);
      // Compressed bodies are rejected, so the covered bytes are unambiguous.
      expect(await raw('{}', json, 'Content-Encoding: gzip', 'Content-Length: 2', '', '{}')).toBe(415);
    });

    it('rejects an ambiguous or malformed header', async () => {
      const good = respondAsBob({ ...(await challenge()), userhash: false }, { qop: 'auth' });
      const response = /response="[\da-f]{64}"/.exec(good)![0];
      const bad = [
        // A string that ends early, or not at all.
        good.replace('"bob"', '"bob\\",realm=\\"x"'),
        good.replace('"bob"', '"a", realm="auth-atlas", x="'),
        good.replace('"bob"', '"bob'),
        good.replace('"bob"', 'bob"'),
        good.replace('"bob"', '"bob\\"'),
        good.slice(0, -1),
        // Duplicate parameters, in any spelling and order.
        `${good}, ${response}`,
        good.replace('Digest ', `Digest ${response}, `),
        `${good}, ${response.replace('response', 'RESPONSE')}`,
        `${good}, username="alice"`,
        `${good}, x=1, x=1`,
        // No list, or more than one.
        good.replace(', ', ' '),
        good.replace(', ', '; '),
        `${good}, Digest username="alice"`,
        `${good}, Basic`,
        good.replace('qop=auth', 'qop'),
        good.replace('qop=auth', 'qop='),
        good.replace('qop=auth', '=auth'),
        good.replace('Digest ', 'Digest\t'),
        good.replace('Digest ', 'Digest,'),
        // RFC 2069: no qop, nc and cnonce.
        good.replace(' qop=auth,', ''),
        good.replace(' nc=00000001', ' x=1'),
        good.replace(/ cnonce="[^"]*",/, ''),
        good.replace('qop=auth', 'qop="auth, auth-int"'),
        good.replace('qop=auth', 'qop=AUTH'),
        good.replace(/cnonce="[^"]*"/, 'cnonce=""'),
        good.replace(/cnonce="[^"]*"/, `cnonce="${'c'.repeat(257)}"`),
        good.replace(/cnonce="[^"]*"/, 'cnonce="a\\"b"'),
        ...['1', '0000001', '000000001', '0000000g', '+0000001', '0000000A'].map((nc) =>
          good.replace('nc=00000001', `nc="${nc}"`),
        ),
        // Too many or too long parameters.
        good + Array.from({ length: 30 }, (_, i) => `, x${i}=1`).join(''),
        `${good}, x="${'x'.repeat(12 * 1024)}"`,
      ];
      for (const Authorization of bad) await expectUnchanged(() => send(Authorization));

      // Equivalent forms are accepted: case, quoted tokens, empty elements, unknown parameters.
      const same = `${good.replace('Digest ', 'DIGEST  ').replace('qop=auth', 'QOP = "auth"')},, unknown="\\a", `;
      expect((await send(same)).status).toBe(200);
    });

    it('rejects a username that is not UTF-8', async () => {
      const good = respondAsBob({ ...(await challenge()), userhash: false });
      for (const name of ['\xff\xfe', 'b\xf6b', '\xc3\xb6b', 'bob\\', '\tbob', ''])
        await expectUnchanged(() => send(good.replace('username="bob"', `username="${name}"`)));
      for (const name of ["UTF-8''%ff", "UTF-8''b%0", "UTF-8''", "UTF-8'bob", "UTF-8''%00bob", "UTF-8''%22"])
        await expectUnchanged(() => send(good.replace('username="bob"', `username*=${name}`)));
    });

    it('responds to an unknown username and userhash as to a wrong password', async () => {
      const challenged = await challenge();
      await addUser(booted, 'no-digest', 'has only a password');
      const seen = [];
      for (const [name, userhash] of [
        ['alice', true],
        ['alice', false],
        ['nobody', true],
        ['nobody', false],
        ['n\u00f6body', true],
        ['no-digest', true],
        ['no-digest', false],
        ['acme-machine', true],
      ] as const) {
        const options = { method: 'GET', uri: DEMO };
        const from = freshAddress();
        const before = (await failures()).length;
        const response = await send(
          respondToChallenge(name, 'has only a password', { ...challenged, userhash }, options),
          DEMO,
          from,
        );
        const { requestId: _, ...body } = response.body;
        const { date: __, 'x-request-id': ___, ...headers } = Object.fromEntries(response.headers);
        headers['www-authenticate'] = headers['www-authenticate']!.replace(/nonce="[^"]+"/g, '');
        seen.push({ status: response.status, body, headers, counted: (await failures()).length > before });
      }
      expect(seen[0]).toMatchObject({ status: 401, body: { code: 'invalid_digest' }, counted: true });
      for (const other of seen) expect(other).toEqual(seen[0]);
    });

    it('never looks up a userhash as a username, or the reverse', async () => {
      const real = await challenge();
      const hashed = respondAsBob(real);
      await expectUnchanged(() => send(hashed.replace(' userhash=true,', '')));
      await expectUnchanged(() => send(hashed.replace('userhash=true', 'userhash=false')));
      await expectUnchanged(() =>
        send(respondAsBob({ ...real, userhash: false }).replace('qop=auth', 'userhash=true, qop=auth')),
      );
      await expectUnchanged(() =>
        send(
          hashed.replace(/username="[^"]+"/, `username="${computeUserhash('SHA-512-256', 'bob', REALM)}"`),
        ),
      );
      expect((await send(hashed)).status).toBe(200);
    });

    it('responds to a disabled account as to an unknown one, even with its password', async () => {
      await addUser(booted, 'disabled', 'was good for long');
      await enableDigest(booted, 'disabled', 'was good for long');
      await booted.db.manager.update(User, { id: 'disabled' }, { disabledAt: new Date() });
      const real = await challenge();
      for (const nonce of [real.nonce, nonces.issue(Date.now() - 6 * MINUTE)]) {
        const options = { method: 'GET', uri: DEMO };
        await expectUnchanged(() =>
          send(respondToChallenge('disabled', 'was good for long', { ...real, nonce }, options)),
        );
      }
    });

    it('rejects a response with any wrong digit or another length', async () => {
      await addUser(booted, 'exact', 'every digit counts');
      await enableDigest(booted, 'exact', 'every digit counts');
      const good = respondToChallenge('exact', 'every digit counts', await challenge(), {
        method: 'GET',
        uri: DEMO,
      });
      const [, response = ''] = /response="([\da-f]{64})"/.exec(good) ?? [];
      const other = (digit: string) => (digit === '0' ? '1' : '0');
      for (const wrong of [
        other(response[0]!) + response.slice(1),
        response.slice(0, 31) + other(response[31]!) + response.slice(32),
        response.slice(0, -1) + other(response.at(-1)!),
        response.slice(1),
        `${response}0`,
        response.slice(0, 32),
        response.toUpperCase(),
        ` ${response}`,
        '',
      ])
        await expectUnchanged(() => send(good.replace(response, wrong)));
      expect((await send(good)).status).toBe(200);
    });

    it('responds 503 while replays cannot be detected', async () => {
      const [first, second] = [respondAsBob(await challenge()), respondAsBob(await challenge())];
      await booted.db.query('ALTER TABLE digest_nonces RENAME TO digest_nonces_away');
      try {
        const { status, body } = await send(first);
        expect({ status, code: body.code }).toEqual({ status: 503, code: 'service_unavailable' });
      } finally {
        await booted.db.query('ALTER TABLE digest_nonces_away RENAME TO digest_nonces');
      }
      expect((await send(second)).status).toBe(200);
    });

    it('does not raise the count without the password', async () => {
      const challenged = await challenge();
      const wrong = { method: 'GET', uri: DEMO, nc: 0xffffffff };
      await expectUnchanged(() => send(respondToChallenge('bob', 'wrong', challenged, wrong)));
      expect((await send(respondAsBob(challenged))).status).toBe(200);
    });
  });
});

/** The hash, and how the client writes `algorithm` and `qop`. */
interface StockAnswer {
  readonly hash: string;
  readonly written: string;
}

/** Python requests 2 with HTTPDigestAuth: of several challenges, the parameters of the last one count. */
function requestsForPython(challenges: ReadonlyMap<string, string>[]): StockAnswer | undefined {
  const last = new Map(challenges.flatMap((each) => [...each]));
  const name = last.get('algorithm') ?? 'MD5';
  const hash = { MD5: 'md5', SHA: 'sha1', 'SHA-256': 'sha256', 'SHA-512': 'sha512' }[name];
  if (!hash || !last.get('qop')?.split(',').includes('auth')) return undefined;
  return { hash, written: `algorithm="${name}", qop="auth"` };
}

/** wget 1.21: the first challenge whose `qop` is exactly `auth`; any algorithm but MD5 is sent as MD5. */
function wget(challenges: ReadonlyMap<string, string>[]): StockAnswer | undefined {
  const found = challenges.some((each) => each.get('qop') === 'auth');
  return found ? { hash: 'md5', written: 'qop=auth' } : undefined;
}

describe('stock clients of HTTP Digest', () => {
  /** The status after a client has answered the challenges of a route. It sends the request again as it is without an answer. */
  const statusOf = async (origin: string, stock: typeof wget, path: string) => {
    const { headers } = await client(origin).get(path);
    const challenges = (headers.get('www-authenticate') ?? '')
      .split('Digest ')
      .slice(1)
      .map((list) => parseParameters(list.replace(/, \w+$/, '')));
    const answer = stock(challenges);
    if (!answer) return (await client(origin).get(path)).status;
    const hashOf = (text: string) => createHash(answer.hash).update(text).digest('hex');
    const nonce = challenges[0]!.get('nonce')!;
    const [ha1, ha2] = [hashOf(`bob:${REALM}:${DEMO_PASSWORD}`), hashOf(`GET:${path}`)];
    const response = hashOf(`${ha1}:${nonce}:00000001:0a4f113b:auth:${ha2}`);
    const Authorization =
      `Digest username="bob", realm="${REALM}", nonce="${nonce}", uri="${path}", response="${response}", ` +
      `${answer.written}, nc=00000001, cnonce="0a4f113b"`;
    return (await client(origin).get(path, { Authorization })).status;
  };

  it('requests for Python is accepted by default, and if the settings add MD5', async () => {
    for (const env of [{}, { DIGEST_LEGACY_MD5: 'true' }] as Record<string, string>[]) {
      const { origin, close } = await boot({ env });
      expect(await statusOf(origin, requestsForPython, DEMO).finally(close)).toBe(200);
    }
  });

  it('wget is accepted if the settings add MD5, the only algorithm that it supports', async () => {
    const { origin, close } = await boot({ env: { DIGEST_LEGACY_MD5: 'true' } });
    expect(await statusOf(origin, wget, DEMO).finally(close)).toBe(200);
  });
});

describe('the settings of HTTP Digest', () => {
  const offered = async (origin: string) =>
    (await challengesOf(origin)).map(({ algorithm, qops, userhash }) => ({ algorithm, qops, userhash }));

  it('offer one challenge by default, with SHA-256 and auth, and reject anything else', async () => {
    const booted = await boot();
    try {
      expect(await offered(booted.origin)).toEqual([
        { algorithm: 'SHA-256', qops: ['auth'], userhash: true },
      ]);
      const challenged = await challengeOf(booted.origin);
      const statusOf = async (more: Partial<DigestChallenge>, request: Partial<DigestRequest> = {}) => {
        const Authorization = respondAsBob({ ...challenged, ...more }, request);
        return (await client(booted.origin).get(DEMO, { Authorization })).status;
      };
      expect(await statusOf({ algorithm: 'SHA-512-256' })).toBe(401);
      expect(await statusOf({}, { qop: 'auth-int' })).toBe(401);
      expect(await booted.db.manager.count(DigestNonce)).toBe(0);
      expect(await statusOf({})).toBe(200);
    } finally {
      await booted.close();
    }
  });

  it('DIGEST_REQUIRE_AUTH_INT rejects auth', async () => {
    const env = { ...OFFER_ALL, DIGEST_REQUIRE_AUTH_INT: 'true' };
    const booted = await boot({ env, controllers: [Echo] });
    try {
      const both = { qops: ['auth-int'], userhash: true };
      expect(await offered(booted.origin)).toEqual([
        { algorithm: 'SHA-256', ...both },
        { algorithm: 'SHA-512-256', ...both },
      ]);
      const by = async (qop: 'auth' | 'auth-int') => {
        const Authorization = respondAsBob(await challengeOf(booted.origin), { qop });
        return client(booted.origin).get(DEMO, { Authorization });
      };
      const { status, body } = await by('auth');
      expect({ status, code: body.code }).toEqual({ status: 401, code: 'invalid_digest' });
      expect(await booted.db.manager.count(DigestNonce)).toBe(0);
      expect((await by('auth-int')).status).toBe(200);
      const signed = withDigest('bob', DEMO_PASSWORD);
      const init = { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } };
      expect((await fetch(await signed(new Request(`${booted.origin}/echo`, init)))).status).toBe(201);
    } finally {
      await booted.close();
    }
  });

  it('DIGEST_LEGACY_MD5 offers MD5 last, to accounts that enabled Digest with it', async () => {
    const booted = await boot({ env: { ...OFFER_ALL, DIGEST_LEGACY_MD5: 'true' } });
    try {
      const qops = ['auth', 'auth-int'];
      expect(await offered(booted.origin)).toEqual([
        { algorithm: 'SHA-256', qops, userhash: true },
        { algorithm: 'SHA-512-256', qops, userhash: true },
        { algorithm: 'MD5', qops, userhash: false },
      ]);
      const by = async (more: Partial<DigestChallenge> = {}) => {
        const Authorization = respondAsBob({ ...(await challengeOf(booted.origin, 'MD5')), ...more });
        return (await client(booted.origin).get(DEMO, { Authorization })).status;
      };
      expect(await by()).toBe(200);
      // MD5 has no userhash, and the userhash of another algorithm is not accepted.
      expect(await by({ userhash: true })).toBe(401);
      const plain = respondAsBob(await challengeOf(booted.origin, 'MD5'));
      const hashed = `username="${computeUserhash('SHA-256', 'bob', REALM)}", userhash=true`;
      const Authorization = plain.replace('username="bob"', hashed);
      expect((await client(booted.origin).get(DEMO, { Authorization })).status).toBe(401);

      const { changedAt } = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
      const before = credentialsWith(booted, {}).create(
        { id: 'bob', username: 'bob' },
        DEMO_PASSWORD,
        changedAt,
      );
      await booted.db.manager.update(DigestCredential, { userId: 'bob' }, { sealed: before.sealed });
      expect(await by()).toBe(401);
      expect(await by({ algorithm: 'SHA-256' })).toBe(200);
      // A missing H(A1) must not count as an empty one.
      const challenge = await challengeOf(booted.origin, 'MD5');
      const exchange = { ...challenge, uri: DEMO, qop: 'auth', nc: '00000001', cnonce: 'c' } as const;
      const response = computeResponse('', exchange, 'GET', Buffer.alloc(0));
      const empty = respondAsBob(challenge, { qop: 'auth', cnonce: 'c' }).replace(
        /response="[^"]+"/,
        `response="${response}"`,
      );
      expect((await client(booted.origin).get(DEMO, { Authorization: empty })).status).toBe(401);
    } finally {
      await booted.close();
    }
  });

  it('rejects MD5 in production and a value other than true and false', () => {
    const production = {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://api.atlas.test',
      APP_SECRET: RANDOM_SECRET,
    };
    const config = (env: Record<string, string>) => readDigestConfig(Settings.from(env));
    expect(() => config({ ...production, DIGEST_LEGACY_MD5: 'true' })).toThrow(InvalidSettings);
    expect(() => config({ DIGEST_LEGACY_MD5: 'yes' })).toThrow('DIGEST_LEGACY_MD5 must be true or false.');
    const common = { algorithms: ['SHA-256'], qops: ['auth'] };
    expect(config(production)).toEqual(common);
    expect(config({ DIGEST_LEGACY_MD5: 'false', DIGEST_REQUIRE_AUTH_INT: 'false' })).toEqual(common);
    expect(config({ ...production, ...OFFER_ALL })).toEqual({
      algorithms: ['SHA-256', 'SHA-512-256'],
      qops: ['auth', 'auth-int'],
    });
  });
});

describe('HTTP Digest on two processes', () => {
  it('shares nonces, and accepts a count once', async () => {
    const processes = await startProcesses(2, OFFER_ALL);
    const [here, there] = processes.origins as [string, string];
    const fetchFrom = (origin: string, Authorization: string) => client(origin).get(DEMO, { Authorization });
    try {
      const sent = respondAsBob(await challengeOf(here));
      expect((await fetchFrom(there, sent)).status).toBe(200);
      expectRejected(await fetchFrom(here, sent), true);
      expectRejected(await fetchFrom(there, sent), true);

      let round = 0;
      const unfair = await race({
        ...processes,
        parallel: 4,
        make: async () => respondAsBob(await challengeOf(processes.origins[round++ % 2]!)),
        use: async (origin, Authorization) => (await fetchFrom(origin, Authorization)).status === 200,
      });
      expect(unfair).toEqual([]);
    } finally {
      await processes.stop();
    }
  });
});
