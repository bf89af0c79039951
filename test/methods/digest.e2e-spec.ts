import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import DigestFetch from 'digest-fetch';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { Authenticate, SelfService } from '../../src/authentication/plan.js';
import { InvalidSettings, Settings } from '../../src/config/settings.js';
import { DEMO_PASSWORD } from '../../src/database/demo-data.service.js';
import {
  respondToChallenge,
  isServerAuthentic,
  parseChallenges,
  withDigest,
  type DigestRequest,
  type DigestChallenge,
} from '../../src/methods/digest/digest.client.js';
import { REALM, digestConfig } from '../../src/methods/digest/digest.config.js';
import { DigestNonceCounts } from '../../src/methods/digest/digest.counts.js';
import { DigestService } from '../../src/methods/digest/digest.service.js';
import { DigestCredential, DigestNonce } from '../../src/methods/digest/digest.entity.js';
import { computeResponse, computeUserhash } from '../../src/methods/digest/digest.js';
import { DigestSecrets } from '../../src/methods/digest/digest.secrets.js';
import { digestNonces } from '../../src/methods/digest/digest.strategy.js';
import type { StatelessNonces } from '../../src/crypto/stateless-nonce.js';
import { PasswordHashing } from '../../src/passwords/password-hashing.service.js';
import { KnownAddress, Password } from '../../src/passwords/password.entity.js';
import { PasswordsService } from '../../src/passwords/passwords.service.js';
import { TooManyAttempts } from '../../src/passwords/passwords.errors.js';
import { User } from '../../src/users/user.entity.js';
import { as, boot, client, type Answer, type Booted } from '../support/app.js';
import { satisfiesTheContract } from '../method.contract.js';
import { startProcesses } from '../support/processes.js';
import { race } from '../support/race.js';
import { contract } from './digest.contract.js';

satisfiesTheContract(contract);

const DEMO = '/demo/digest';
const MINUTE = 60_000;

let nextAddress = 0;
/** A client's address that no other test has used. */
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

const me = (id: string) => as({ id, roles: ['viewer'] });

/** Turns Digest on as its owner does. */
const turnOn = ({ origin }: Pick<Booted, 'origin'>, id: string, password: string) =>
  client(origin, me(id)).send('PUT', '/digest', { body: { password } });

async function challengesOf(origin: string, path = DEMO): Promise<DigestChallenge[]> {
  const { headers } = await client(origin).get(path);
  return parseChallenges(headers.get('www-authenticate') ?? '');
}

const challengeOf = async (origin: string, algorithm = 'SHA-256') =>
  (await challengesOf(origin)).find((each) => each.algorithm === algorithm)!;

/** bob's answer to a challenge. */
const bobs = (challenge: DigestChallenge, more: Partial<DigestRequest> = {}) =>
  respondToChallenge('bob', DEMO_PASSWORD, challenge, { method: 'GET', uri: DEMO, ...more });

function refused(answer: Answer, stale = false) {
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 401, code: 'invalid_digest' });
  const asked = answer.headers.get('www-authenticate') ?? '';
  expect(asked).toMatch(/^Digest realm="auth-atlas", qop="auth, auth-int", algorithm=SHA-256, nonce="/);
  expect(parseChallenges(asked).map((each) => each.stale)).toEqual([stale, stale]);
}

function throttled({ status, body }: Answer) {
  expect({ status, code: body.code }).toEqual({ status: 429, code: 'too_many_attempts' });
}

describe('HTTP Digest', () => {
  let booted: Booted;
  let nonces: StatelessNonces;
  // The tests speak as a trusted proxy, so that each can be a client with an address of its own.
  beforeAll(async () => {
    booted = await boot({ env: { TRUST_PROXY: '127.0.0.1' }, also: [Echo] });
    nonces = digestNonces(booted.app.get(Settings));
  });
  afterAll(() => booted.close());

  const send = (Authorization: string, path = DEMO, from = freshAddress()) =>
    client(booted.origin).get(path, { Authorization, 'X-Forwarded-For': from });
  const challenge = (algorithm?: string) => challengeOf(booted.origin, algorithm);
  /** All that an attack could have left behind. */
  const state = async () => ({
    nonces: await booted.db.manager.find(DigestNonce, { order: { id: 'ASC' } }),
    credentials: await booted.db.manager.find(DigestCredential, { order: { userId: 'ASC' } }),
    addresses: await booted.db.manager.count(KnownAddress),
  });
  const forgetFailures = () => booted.db.sql`DELETE FROM login_failures`;
  const failures = () =>
    booted.db.sql<unknown[]>`SELECT * FROM login_failures WHERE key NOT LIKE 'credentials:%' ORDER BY key`;

  it('offers SHA-256 first, then SHA-512-256, by one nonce that is another each time', async () => {
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

  it.each(['SHA-256', 'SHA-512-256'])('takes %s, with the username and with its hash', async (algorithm) => {
    for (const userhash of [true, false])
      expect((await send(bobs({ ...(await challenge(algorithm)), userhash }))).status).toBe(200);
  });

  it('proves a password, and not the possession of a key', async () => {
    const { body } = await send(bobs(await challenge()));
    expect(body.proofs).toEqual([{ method: 'digest', at: expect.any(String), amr: ['pwd'], bound: false }]);
  });

  it('takes username* for a name that a quoted-string cannot hold, and never both', async () => {
    const header = bobs({ ...(await challenge()), userhash: false });
    const extended = (value: string) => header.replace('username="bob"', `username*=${value}`);
    refused(await send(header.replace('username="bob"', `username="bob", username*=UTF-8''bob`)));
    refused(await send(extended("ISO-8859-1''bob")));
    refused(await send(`${extended("UTF-8''bob")}, userhash=true`));
    expect((await send(extended("UTF-8'en'%62ob"))).status).toBe(200);
  });

  it('takes the name as the account has it: BOB is hashed to something else, so it is nobody', async () => {
    const challenged = { ...(await challenge()), userhash: false };
    const options = { method: 'GET', uri: DEMO };
    for (const userhash of [true, false])
      refused(await send(respondToChallenge('BOB', DEMO_PASSWORD, { ...challenged, userhash }, options)));
    refused(await send(bobs(challenged).replace('"bob"', '"BOB"')));
    expect((await send(bobs(challenged))).status).toBe(200);
  });

  it('takes one password for one text in UTF-8, however the keyboard composes its letters', async () => {
    await addUser(booted, 'accents', 'caf\u00e9 noir \u2713');
    expect((await turnOn(booted, 'accents', 'cafe\u0301 noir \u2713')).status).toBe(200);
    const answer = async (password: string) =>
      send(respondToChallenge('accents', password, await challenge(), { method: 'GET', uri: DEMO }));
    expect((await answer('caf\u00e9 noir \u2713')).body.id).toBe('accents');
    expect((await answer('cafe\u0301 noir \u2713')).status).toBe(200);
    refused(await answer('cafe noir \u2713'));
  });

  it('takes a nonce again and again, as long as its count goes up', async () => {
    const challenged = await challenge();
    const count = async (n: number) => send(bobs(challenged, { nc: n }));
    for (const n of [1, 2, 9, 0x10, 0xffffffff]) expect((await count(n)).status).toBe(200);
  });

  describe('the server proves itself, too', () => {
    const exchange = async (path = DEMO, init: RequestInit = {}) => {
      const request = await withDigest('bob', DEMO_PASSWORD)(new Request(booted.origin + path, init));
      return { request, response: await fetch(request.clone()) };
    };

    it.each(['auth', 'auth-int'] as const)('by rspauth, with %s', async (qop) => {
      const Authorization = bobs(await challenge(), { qop });
      const response = await fetch(booted.origin + DEMO, { headers: { Authorization } });
      const info = response.headers.get('authentication-info');
      expect(info).toMatch(
        new RegExp(`^rspauth="[\\da-f]{64}", qop=${qop}, nc=00000001, cnonce="[\\w-]{24}"$`),
      );
      const request = new Request(booted.origin + DEMO, { headers: { Authorization } });
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
      expect(await isServerAuthentic('bob', 'another', request, response)).toBe(false);
    });

    it('auth-int covers the body of the answer, whatever its status', async () => {
      const { request, response } = await exchange('/documents/no-such-document');
      expect(response.status).toBe(404);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
      const forged = new Response(`${await response.text()} `, response);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, forged)).toBe(false);
    });

    it('auth-int covers what is sent, and to HEAD no body is', async () => {
      const { request, response } = await exchange('/me', { method: 'HEAD' });
      expect(response.status).toBe(200);
      expect(await isServerAuthentic('bob', DEMO_PASSWORD, request, response)).toBe(true);
    });

    it('not to whom it does not let in', async () => {
      const wrong = respondToChallenge('bob', 'wrong', await challenge(), { method: 'GET', uri: DEMO });
      expect((await send(wrong)).headers.get('authentication-info')).toBeNull();
    });
  });

  describe('a nonce is good for five minutes', () => {
    const madeAgo = async (minutes: number) => ({
      ...(await challenge()),
      nonce: nonces.issue(Date.now() - minutes * MINUTE),
    });

    it('a right answer to an old one is told so, and a new nonce is at hand', async () => {
      const answer = await send(bobs(await madeAgo(5)));
      refused(answer, true);
      expect(answer.headers.get('www-authenticate')).toContain('stale=true');
      const [fresh] = parseChallenges(answer.headers.get('www-authenticate')!);
      expect((await send(bobs(fresh!))).status).toBe(200);
    });

    it('a wrong answer to an old one is wrong', async () => {
      const wrong = respondToChallenge('bob', 'wrong', await madeAgo(5), { method: 'GET', uri: DEMO });
      refused(await send(wrong));
    });

    it('who is let in by one that is waning gets the next one at once', async () => {
      const challenged = await madeAgo(3);
      const { status, headers } = await send(bobs(challenged));
      expect(status).toBe(200);
      const [, nonce = ''] = /nextnonce="([^"]+)"$/.exec(headers.get('authentication-info') ?? '') ?? [];
      expect((await send(bobs({ ...challenged, nonce }))).status).toBe(200);
      const early = await send(bobs(await challenge()));
      expect(early.headers.get('authentication-info')).not.toContain('nextnonce');
    });

    it('what is remembered of it is removed an hour after', async () => {
      const ids = (await booted.db.manager.find(DigestNonce)).map(({ id }) => id);
      const until = Math.floor(Date.now() / 1000);
      await booted.db.manager.insert(DigestNonce, [
        { id: 'over for an hour', nc: 1, until: until - 3602 },
        { id: 'over for less', nc: 1, until: until - 3500 },
      ]);
      await booted.app.get(DigestNonceCounts).cleanUp();
      const kept = (await booted.db.manager.find(DigestNonce)).map(({ id }) => id);
      expect(kept.sort()).toEqual([...ids, 'over for less'].sort());
    });
  });

  describe('its owner turns it on and off', () => {
    it('with the password of the account, and it is in the audit log', async () => {
      await addUser(booted, 'frida', 'swan lake at four');
      const frida = client(booted.origin, me('frida'));
      const signIn = async () =>
        send(respondToChallenge('frida', 'swan lake at four', await challenge(), { method: 'GET', uri: DEMO }));
      expect((await frida.get('/digest')).body).toEqual({ enabled: false });
      refused(await signIn());

      const on = { enabled: true, enabledAt: expect.any(String) };
      const { status, body } = await turnOn(booted, 'frida', 'swan lake at four');
      expect({ status, body }).toEqual({ status: 200, body: on });
      expect((await frida.get('/digest')).body).toEqual(on);
      expect((await signIn()).body.id).toBe('frida');

      for (let i = 0; i < 2; i++) expect((await frida.send('DELETE', '/digest')).status).toBe(204);
      refused(await signIn());
      expect((await frida.get('/digest')).body).toEqual({ enabled: false });
      const events = await booted.db.manager.find(AuditEvent, {
        where: { target: 'digest:frida' },
        order: { seq: 'ASC' },
      });
      expect(events.map(({ event }) => event)).toEqual(['authn_token_created', 'authn_token_revoked']);
    });

    it('keeps nothing that can be read: neither the password nor its hash', async () => {
      await addUser(booted, 'sealed', 'a password to be kept');
      await turnOn(booted, 'sealed', 'a password to be kept');
      const row = await booted.db.manager.findOneByOrFail(DigestCredential, { userId: 'sealed' });
      expect(row.sealed).toMatch(/^[\da-f]{8}\.[\w-]+$/);
      expect(Buffer.from(row.sealed.split('.')[1]!, 'base64url').toString('latin1')).not.toContain('SHA-256');
      expect(row.userhashSha256).toBe(computeUserhash('SHA-256', 'sealed', REALM));
    });

    it('not with another password, which counts as a guess', async () => {
      await addUser(booted, 'guessed', 'the right one of them');
      const answer = await turnOn(booted, 'guessed', 'the wrong one');
      expect({ status: answer.status, code: answer.body.code }).toEqual({
        status: 403,
        code: 'incorrect_password',
      });
      const [event] = await booted.db.manager.findBy(AuditEvent, { target: 'digest:guessed' });
      expect(event).toMatchObject({ event: 'authn_login_fail', userId: 'guessed' });
      for (let i = 0; i < 9; i++) expect((await turnOn(booted, 'guessed', `wrong ${i}`)).status).toBe(403);
      throttled(await turnOn(booted, 'guessed', 'the right one of them'));
    });

    it('not with a password that is replaced at the same moment', async () => {
      await addUser(booted, 'hurried', 'the one before');
      const passwords = booted.app.get(PasswordsService);
      const verify = passwords.verifyWithHash.bind(passwords);
      jest.spyOn(passwords, 'verifyWithHash').mockImplementationOnce(async (...claim) => {
        const proved = await verify(...claim);
        const hash = await booted.app.get(PasswordHashing).hash('the one after');
        await booted.db.manager.update(Password, { userId: 'hurried' }, { hash, changedAt: new Date() });
        return proved;
      });
      const { status, body } = await turnOn(booted, 'hurried', 'the one before');
      jest.restoreAllMocks();
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'incorrect_password' });
      expect(await booted.db.manager.existsBy(DigestCredential, { userId: 'hurried' })).toBe(false);
    });

    it('not for a machine, which has no password', async () => {
      const machine = client(booted.origin, as({ id: 'acme-machine', kind: 'client' }));
      const { status, body } = await machine.send('PUT', '/digest', { body: { password: DEMO_PASSWORD } });
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'password_not_set' });
    });

    it('not by a credential that reaches less far', async () => {
      const proof = { method: 'test', at: new Date(), amr: [], bound: false, restricted: true } as const;
      for (const limit of [{ scopes: ['documents:read'] }, { proofs: [proof] as const }]) {
        const limited = client(booted.origin, as({ id: 'bob', ...limit }));
        for (const answer of [
          await limited.send('PUT', '/digest', { body: { password: DEMO_PASSWORD } }),
          await limited.send('DELETE', '/digest'),
        ])
          expect({ status: answer.status, code: answer.body.code }).toEqual({
            status: 403,
            code: 'limited_credential',
          });
      }
      expect((await send(bobs(await challenge()))).status).toBe(200);
    });

    it('a new password ends it on the next request, and what was made of the old one is removed', async () => {
      await addUser(booted, 'changing', 'the first of two');
      await turnOn(booted, 'changing', 'the first of two');
      const signIn = async (password: string) =>
        send(respondToChallenge('changing', password, await challenge(), { method: 'GET', uri: DEMO }));
      expect((await signIn('the first of two')).status).toBe(200);

      const hash = await booted.app.get(PasswordHashing).hash('the second of two');
      await booted.db.manager.update(Password, { userId: 'changing' }, { hash, changedAt: new Date() });
      refused(await signIn('the first of two'));
      refused(await signIn('the second of two'));
      expect((await client(booted.origin, me('changing')).get('/digest')).body).toEqual({ enabled: false });

      const others = await booted.db.manager.countBy(DigestCredential, {});
      await booted.app.get(DigestService).cleanUp();
      expect(await booted.db.manager.existsBy(DigestCredential, { userId: 'changing' })).toBe(false);
      expect(await booted.db.manager.countBy(DigestCredential, {})).toBe(others - 1);

      await turnOn(booted, 'changing', 'the second of two');
      expect((await signIn('the second of two')).status).toBe(200);
    });
  });

  describe('is spoken by others', () => {
    const curl = async (...more: string[]) =>
      (await promisify(execFile)('curl', ['-s', '--digest', ...more])).stdout;
    const asBob = ['-u', `bob:${DEMO_PASSWORD}`];

    it('DIGEST-20 curl --digest signs in by SHA-256 and by the hash of the username', async () => {
      const seen = await curl('-v', '--stderr', '-', ...asBob, booted.origin + DEMO);
      expect(seen).toMatch(
        /^> Authorization: Digest username="[\da-f]{64}".* algorithm=SHA-256, userhash=true/m,
      );
      expect(seen).toContain('"id":"bob"');
      expect(JSON.parse(await curl('-u', 'bob:wrong', booted.origin + DEMO))).toMatchObject({
        code: 'invalid_digest',
      });
    });

    it('curl sends a body, too', async () => {
      const json = ['-H', 'Content-Type: application/json', '-d', '{"title":"by digest"}'];
      expect(JSON.parse(await curl(...asBob, ...json, `${booted.origin}/documents`))).toMatchObject({
        title: 'by digest',
        ownerId: 'bob',
      });
    });

    it.each(['SHA-256', 'SHA-512-256'])('digest-fetch signs in by %s, time and again', async (algorithm) => {
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

  describe('guesses', () => {
    const guess = async (id: string, password: string, from: string) =>
      send(respondToChallenge(id, password, await challenge(), { method: 'GET', uri: DEMO }), DEMO, from);
    const enrolled = async (id: string) => {
      await addUser(booted, id, 'the right one of all');
      await turnOn(booted, id, 'the right one of all');
    };

    it('ten wrong answers, and the account waits for all addresses that it does not know', async () => {
      await enrolled('target');
      for (let i = 0; i < 10; i++) refused(await guess('target', `guess ${i}`, freshAddress()));
      throttled(await guess('target', 'guess 10', freshAddress()));
      // Also the right one, or waiting would be the answer to wrong ones only.
      throttled(await guess('target', 'the right one of all', freshAddress()));
      // Who has to wait is not counted any further.
      const before = await failures();
      throttled(await guess('target', 'guess 11', freshAddress()));
      expect(await failures()).toEqual(before);
      // They count together with those that come another way.
      const verified = booted.app
        .get(PasswordsService)
        .verify('target', 'the right one of all', freshAddress());
      await expect(verified).rejects.toThrow(TooManyAttempts);
    });

    it('sent all at once are counted before their sender learns of the outcome', async () => {
      await enrolled('rushed');
      const challenged = await challenge();
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, i) => {
          const options = { method: 'GET', uri: DEMO, count: i + 1 };
          return send(respondToChallenge('rushed', `guess ${i}`, challenged, options));
        }),
      );
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(10);
      answers.filter(({ status }) => status !== 401).forEach(throttled);
    });

    it('also by an old nonce, whose right answer would be told apart', async () => {
      await enrolled('patient');
      const challenged = { ...(await challenge()), nonce: nonces.issue(Date.now() - 6 * MINUTE) };
      const answer = (password: string) =>
        send(respondToChallenge('patient', password, challenged, { method: 'GET', uri: DEMO }));
      for (let i = 0; i < 10; i++) refused(await answer(`guess ${i}`));
      throttled(await answer('the right one of all'));
    });

    it('an attacker does not lock the owner out, at an address where the owner has signed in', async () => {
      await enrolled('owner');
      const [home, attacker] = [freshAddress(), freshAddress()];
      expect((await guess('owner', 'the right one of all', home)).status).toBe(200);
      for (let i = 0; i < 10; i++) refused(await guess('owner', `guess ${i}`, attacker));
      throttled(await guess('owner', 'the right one of all', attacker));
      expect((await guess('owner', 'the right one of all', home)).status).toBe(200);
    });

    it('what was seen of the owner, sent again from elsewhere, makes that no address of the owner', async () => {
      await enrolled('seen');
      const elsewhere = freshAddress();
      const options = { method: 'GET', uri: DEMO };
      const sent = respondToChallenge('seen', 'the right one of all', await challenge(), options);
      expect((await send(sent)).status).toBe(200);
      refused(await send(sent, DEMO, elsewhere), true);
      const known = await booted.db.manager.existsBy(KnownAddress, { userId: 'seen', address: elsewhere });
      expect(known).toBe(false);
      for (let i = 0; i < 10; i++) refused(await guess('seen', `guess ${i}`, elsewhere));
      throttled(await guess('seen', 'the right one of all', elsewhere));
    });

    it('a name that nobody has, or its hash, counts like any other', async () => {
      const challenged = await challenge();
      for (const userhash of [true, false]) {
        const answer = () =>
          send(respondToChallenge('no-such-name', 'x', { ...challenged, userhash }, { method: 'GET', uri: DEMO }));
        for (let i = 0; i < 10; i++) refused(await answer());
        throttled(await answer());
      }
    });

    it('a good answer writes no counter, and a right one that comes too late costs nothing', async () => {
      await enrolled('busy');
      const from = freshAddress();
      const challenged = await challenge();
      const answer = (count: number, nonce = challenged.nonce) => {
        const options = { method: 'GET', uri: DEMO, count };
        return send(
          respondToChallenge('busy', 'the right one of all', { ...challenged, nonce }, options),
          DEMO,
          from,
        );
      };
      expect((await answer(1)).status).toBe(200);
      const before = await failures();
      for (let i = 2; i < 14; i++) expect((await answer(i)).status).toBe(200);
      expect(await failures()).toEqual(before);
      for (let i = 0; i < 12; i++) refused(await answer(1, nonces.issue(Date.now() - 6 * MINUTE)), true);
      expect((await answer(14)).status).toBe(200);
    });
  });

  describe('attacks', () => {
    beforeEach(forgetFailures);

    /** It is refused, and all is as it was before; what is counted of it does not stand in the way of the next. */
    const fails = async (attempt: () => Promise<Answer>, stale = false) => {
      await forgetFailures();
      const before = await state();
      refused(await attempt(), stale);
      expect(await state()).toEqual(before);
    };

    it('DIGEST-01 what was sent once is refused the second time, and so is any lower count', async () => {
      const challenged = await challenge();
      const sent = bobs(challenged, { nc: 5 });
      expect((await send(sent)).status).toBe(200);
      await fails(() => send(sent), true);
      for (const count of [1, 4, 5]) await fails(() => send(bobs(challenged, { nc: count })), true);
      expect((await send(bobs(challenged, { nc: 6 }))).status).toBe(200);
      // There is no use before the first.
      const unused = await challenge();
      await fails(() => send(bobs(unused, { nc: 0 })));
    });

    it('DIGEST-01 the count cannot be raised without the password', async () => {
      const sent = bobs(await challenge());
      await fails(() => send(sent.replace('nc=00000001', 'nc=00000002')));
      expect((await send(sent)).status).toBe(200);
    });

    it('DIGEST-05 a nonce that this server has not made for this realm is refused, and not as a stale one', async () => {
      const real = await challenge();
      const ofAnother = digestNonces(Settings.from({ APP_SECRET: 'x'.repeat(40) }));
      const ofAnotherRealm = digestNonces(booted.app.get(Settings), 'another');
      const flipped = `${real.nonce.slice(0, -1)}${real.nonce.endsWith('A') ? 'B' : 'A'}`;
      // Older than it says: the time is under the MAC as well.
      const younger = nonces.issue(Date.now() + MINUTE).slice(0, 17) + real.nonce.slice(17);
      for (const nonce of [
        ofAnother.issue(),
        ofAnotherRealm.issue(),
        flipped,
        younger,
        `${real.nonce}A`,
        real.nonce.toUpperCase(),
        `${real.nonce}=`,
        'x',
        '',
      ])
        await fails(() => send(bobs({ ...real, nonce })));
      expect((await send(bobs(real))).status).toBe(200);
    });

    it('DIGEST-05 an answer for another realm is refused', async () => {
      const real = await challenge();
      await fails(() => send(bobs({ ...real, realm: 'another', userhash: false })));
      await fails(() => send(bobs(real).replace('realm="auth-atlas"', 'realm="another"')));
    });

    it('DIGEST-06 a flood of requests without a password takes up nothing: what is asked is not remembered', async () => {
      const before = await state();
      const asked = new Set<string>();
      for (let round = 0; round < 20; round++)
        for (const { nonce } of await Promise.all(Array.from({ length: 25 }, () => challenge())))
          asked.add(nonce);
      expect(asked.size).toBe(500);
      for (const nonce of [...asked].slice(0, 5))
        refused(
          await send(
            respondToChallenge('bob', 'wrong', { ...(await challenge()), nonce }, { method: 'GET', uri: DEMO }),
          ),
        );
      expect(await state()).toEqual(before);
    });

    it('DIGEST-09 an algorithm that was not offered is refused, also where none is named', async () => {
      const real = { ...(await challenge()), userhash: false };
      await fails(() => send(bobs({ ...real, algorithm: 'MD5' })));
      await fails(() => send(bobs({ ...real, algorithm: 'MD5' }).replace(' algorithm=MD5,', '')));
      await fails(() => send(bobs(real).replace(' algorithm=SHA-256,', '')));
      for (const name of ['SHA-256-sess', 'SHA-512-256-sess', 'sha-256', 'SHA-1', 'constructor', '""'])
        await fails(() => send(bobs(real).replace('algorithm=SHA-256', `algorithm=${name}`)));
      // Also where it was offered once, and its hash is still kept.
      const { changedAt } = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
      const legacy = new DigestSecrets(Settings.from({ NODE_ENV: 'test', DIGEST_LEGACY_MD5: 'true' }));
      const row = legacy.make({ id: 'bob', username: 'bob' }, DEMO_PASSWORD, changedAt);
      await booted.db.manager.upsert(DigestCredential, row, ['userId']);
      await fails(() => send(bobs({ ...real, algorithm: 'MD5' })));
      // By the other one that was offered, the same hash is another answer.
      await fails(() => send(bobs(real).replace('SHA-256', 'SHA-512-256')));
    });

    it('DIGEST-12 an answer is good for its method and its target only', async () => {
      const ofGet = bobs(await challenge(), { uri: '/echo' });
      const post = (Authorization: string, path: string) =>
        client(booted.origin).send('POST', path, { headers: { Authorization } });
      await fails(() => post(ofGet, '/echo'));

      const ofDemo = bobs(await challenge());
      const before = await state();
      for (const path of ['/me', `${DEMO}?a=1`]) {
        const { status, body } = await send(ofDemo, path);
        expect({ status, code: body.code }).toEqual({ status: 400, code: 'digest_uri_mismatch' });
        await fails(() => send(ofDemo.replace(`uri="${DEMO}"`, `uri="${path}"`), path));
      }
      const absolute = await send(bobs(await challenge(), { uri: `${booted.origin}${DEMO}` }));
      refused(absolute);
      expect(await state()).toEqual(before);
      expect((await send(ofDemo)).status).toBe(200);
    });

    it('DIGEST-13 with auth-int, a body that was changed on the way is refused', async () => {
      const post = (body: string, Authorization: string) =>
        client(booted.origin).send('POST', '/echo', { body, headers: { Authorization } });
      const body = '{"amount":1}';
      const of = async (text: string, qop: 'auth' | 'auth-int') =>
        bobs(await challenge(), { method: 'POST', uri: '/echo', body: Buffer.from(text), qop });
      for (const other of ['{"amount":9}', '{"amount":1} ', ' {"amount":1}', '{"amount": 1}', '{}']) {
        const signed = await of(body, 'auth-int');
        await fails(() => post(other, signed));
      }
      const covered = await of(body, 'auth-int');
      // The qop is part of the hash: taking the cover away makes it another answer.
      await fails(() => post('{"amount":9}', covered.replace('qop=auth-int', 'qop=auth')));
      expect((await post(body, covered)).body).toEqual({ body: { amount: 1 } });
      // This is what auth leaves open, and what DIGEST_REQUIRE_AUTH_INT closes.
      expect((await post('{"amount":9}', await of(body, 'auth'))).status).toBe(201);
    });

    it('DIGEST-14 with auth-int, the bytes of the body count, however they are framed', async () => {
      const raw = async (signed: string, ...rest: string[]) => {
        const Authorization = bobs(await challenge(), {
          method: 'POST',
          uri: '/echo',
          body: Buffer.from(signed),
          qop: 'auth-int',
        });
        const answer = await client(booted.origin).raw(
          'POST /echo HTTP/1.1',
          'Host: localhost',
          'Connection: close',
          `Authorization: ${Authorization}`,
          ...rest,
        );
        return Number(answer.slice(9, 12));
      };
      const json = 'Content-Type: application/json';
      const chunked = [json, 'Transfer-Encoding: chunked', '', '3', '{"a', '5', '":1} ', '0', ''];
      expect(await raw('{"a":1} ', ...chunked)).toBe(201);
      expect(await raw('{"a":1}', ...chunked)).toBe(401);
      expect(await raw('3\r\n{"a\r\n5\r\n":1} \r\n0\r\n\r\n', ...chunked)).toBe(401);
      // No body is an empty one, however that is said.
      expect(await raw('', '')).toBe(201);
      expect(await raw('', 'Content-Length: 0', '')).toBe(201);
      expect(await raw('', json, 'Transfer-Encoding: chunked', '', '0', '')).toBe(201);
      expect(await raw('{}', 'Content-Length: 0', '')).toBe(401);
      // What is packed is not unpacked here, so there is no doubt which bytes were meant.
      expect(await raw('{}', json, 'Content-Encoding: gzip', 'Content-Length: 2', '', '{}')).toBe(415);
    });

    it('DIGEST-15 what can be read in two ways is not read at all', async () => {
      const good = bobs({ ...(await challenge()), userhash: false }, { qop: 'auth' });
      const response = /response="[\da-f]{64}"/.exec(good)![0];
      const bad = [
        // Ends the string early, or not at all.
        good.replace('"bob"', '"bob\\",realm=\\"x"'),
        good.replace('"bob"', '"a", realm="auth-atlas", x="'),
        good.replace('"bob"', '"bob'),
        good.replace('"bob"', 'bob"'),
        good.replace('"bob"', '"bob\\"'),
        good.slice(0, -1),
        // Twice, in whatever spelling, before or after.
        `${good}, ${response}`,
        good.replace('Digest ', `Digest ${response}, `),
        `${good}, ${response.replace('response', 'RESPONSE')}`,
        `${good}, username="alice"`,
        `${good}, x=1, x=1`,
        // No list, or not only one.
        good.replace(', ', ' '),
        good.replace(', ', '; '),
        `${good}, Digest username="alice"`,
        `${good}, Basic`,
        good.replace('qop=auth', 'qop'),
        good.replace('qop=auth', 'qop='),
        good.replace('qop=auth', '=auth'),
        good.replace('Digest ', 'Digest\t'),
        good.replace('Digest ', 'Digest,'),
        // RFC 2069: no qop, no count, no cnonce.
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
        // More than anybody needs.
        good + Array.from({ length: 30 }, (_, i) => `, x${i}=1`).join(''),
        `${good}, x="${'x'.repeat(12 * 1024)}"`,
      ];
      for (const Authorization of bad) await fails(() => send(Authorization));

      // What means the same is taken: other names, quoted tokens, empty elements, a scheme without case.
      const same = `${good.replace('Digest ', 'DIGEST  ').replace('qop=auth', 'QOP = "auth"')},, unknown="\\a", `;
      expect((await send(same)).status).toBe(200);
    });

    it('DIGEST-15 bytes that are no text are no name, and no fault of the server', async () => {
      const good = bobs({ ...(await challenge()), userhash: false });
      for (const name of ['\xff\xfe', 'b\xf6b', '\xc3\xb6b', 'bob\\', '\tbob', ''])
        await fails(() => send(good.replace('username="bob"', `username="${name}"`)));
      for (const name of ["UTF-8''%ff", "UTF-8''b%0", "UTF-8''", "UTF-8'bob", "UTF-8''%00bob", "UTF-8''%22"])
        await fails(() => send(good.replace('username="bob"', `username*=${name}`)));
    });

    it('DIGEST-16 an unknown name, and its hash, look and count like a wrong password', async () => {
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
        const answer = await send(
          respondToChallenge(name, 'has only a password', { ...challenged, userhash }, options),
          DEMO,
          from,
        );
        const { requestId: _, ...body } = answer.body;
        const { date: __, 'x-request-id': ___, ...headers } = Object.fromEntries(answer.headers);
        headers['www-authenticate'] = headers['www-authenticate']!.replace(/nonce="[^"]+"/g, '');
        seen.push({ status: answer.status, body, headers, counted: (await failures()).length > before });
      }
      expect(seen[0]).toMatchObject({ status: 401, body: { code: 'invalid_digest' }, counted: true });
      for (const other of seen) expect(other).toEqual(seen[0]);
    });

    it('DIGEST-16 the hash of a name is looked for as a hash, and never as a name', async () => {
      const real = await challenge();
      const hashed = bobs(real);
      await fails(() => send(hashed.replace(' userhash=true,', '')));
      await fails(() => send(hashed.replace('userhash=true', 'userhash=false')));
      await fails(() =>
        send(bobs({ ...real, userhash: false }).replace('qop=auth', 'userhash=true, qop=auth')),
      );
      await fails(() =>
        send(hashed.replace(/username="[^"]+"/, `username="${computeUserhash('SHA-512-256', 'bob', REALM)}"`)),
      );
      expect((await send(hashed)).status).toBe(200);
    });

    it('DIGEST-16 a disabled account looks like one that is not there, to who knows its password as well', async () => {
      await addUser(booted, 'disabled', 'was good for long');
      await turnOn(booted, 'disabled', 'was good for long');
      await booted.db.manager.update(User, { id: 'disabled' }, { disabledAt: new Date() });
      const real = await challenge();
      for (const nonce of [real.nonce, nonces.issue(Date.now() - 6 * MINUTE)]) {
        const options = { method: 'GET', uri: DEMO };
        await fails(() => send(respondToChallenge('disabled', 'was good for long', { ...real, nonce }, options)));
      }
    });

    it('DIGEST-19 an answer that is wrong anywhere, or of another length, is refused', async () => {
      await addUser(booted, 'exact', 'every digit counts');
      await turnOn(booted, 'exact', 'every digit counts');
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
        await fails(() => send(good.replace(response, wrong)));
      expect((await send(good)).status).toBe(200);
    });

    it('a database that cannot say whether it is a replay lets nobody in', async () => {
      const [first, second] = [bobs(await challenge()), bobs(await challenge())];
      await booted.db.query('ALTER TABLE digest_nonces RENAME TO digest_nonces_away');
      try {
        const { status, body } = await send(first);
        expect({ status, code: body.code }).toEqual({ status: 503, code: 'service_unavailable' });
      } finally {
        await booted.db.query('ALTER TABLE digest_nonces_away RENAME TO digest_nonces');
      }
      expect((await send(second)).status).toBe(200);
    });

    it('who does not know the password cannot use up the counts of who does', async () => {
      const challenged = await challenge();
      const wrong = { method: 'GET', uri: DEMO, count: 0xffffffff };
      await fails(() => send(respondToChallenge('bob', 'wrong', challenged, wrong)));
      expect((await send(bobs(challenged))).status).toBe(200);
    });
  });
});

describe('the settings of HTTP Digest', () => {
  const offered = async (origin: string) =>
    (await challengesOf(origin)).map(({ algorithm, qops, userhash }) => ({ algorithm, qops, userhash }));

  it('DIGEST-08 DIGEST_REQUIRE_AUTH_INT takes nothing whose body is not covered', async () => {
    const booted = await boot({ env: { DIGEST_REQUIRE_AUTH_INT: 'true' }, also: [Echo] });
    try {
      const both = { qops: ['auth-int'], userhash: true };
      expect(await offered(booted.origin)).toEqual([
        { algorithm: 'SHA-256', ...both },
        { algorithm: 'SHA-512-256', ...both },
      ]);
      const by = async (qop: 'auth' | 'auth-int') => {
        const Authorization = bobs(await challengeOf(booted.origin), { qop });
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

  it('DIGEST_LEGACY_MD5 offers MD5 last, to who turned Digest on meanwhile', async () => {
    const booted = await boot({ env: { DIGEST_LEGACY_MD5: 'true' } });
    try {
      const qops = ['auth', 'auth-int'];
      expect(await offered(booted.origin)).toEqual([
        { algorithm: 'SHA-256', qops, userhash: true },
        { algorithm: 'SHA-512-256', qops, userhash: true },
        { algorithm: 'MD5', qops, userhash: false },
      ]);
      const by = async (more: Partial<DigestChallenge> = {}) => {
        const Authorization = bobs({ ...(await challengeOf(booted.origin, 'MD5')), ...more });
        return (await client(booted.origin).get(DEMO, { Authorization })).status;
      };
      expect(await by()).toBe(200);
      // No name is hashed by MD5, and none is found by its hash of another algorithm.
      expect(await by({ userhash: true })).toBe(401);
      const plain = bobs(await challengeOf(booted.origin, 'MD5'));
      const hashed = `username="${computeUserhash('SHA-256', 'bob', REALM)}", userhash=true`;
      const Authorization = plain.replace('username="bob"', hashed);
      expect((await client(booted.origin).get(DEMO, { Authorization })).status).toBe(401);

      const { changedAt } = await booted.db.manager.findOneByOrFail(Password, { userId: 'bob' });
      const before = new DigestSecrets(Settings.from({ NODE_ENV: 'test' })).make(
        { id: 'bob', username: 'bob' },
        DEMO_PASSWORD,
        changedAt,
      );
      await booted.db.manager.update(DigestCredential, { userId: 'bob' }, { sealed: before.sealed });
      expect(await by()).toBe(401);
      expect(await by({ algorithm: 'SHA-256' })).toBe(200);
      // What is not kept is not an empty hash, which anybody could compute with.
      const asked = await challengeOf(booted.origin, 'MD5');
      const exchange = { ...asked, uri: DEMO, qop: 'auth', nc: '00000001', cnonce: 'c' } as const;
      const response = computeResponse('', exchange, 'GET', Buffer.alloc(0));
      const empty = bobs(asked, { qop: 'auth', cnonce: 'c' }).replace(
        /response="[^"]+"/,
        `response="${response}"`,
      );
      expect((await client(booted.origin).get(DEMO, { Authorization: empty })).status).toBe(401);
    } finally {
      await booted.close();
    }
  });

  it('MD5 stops the start in production, and a setting that is neither true nor false everywhere', () => {
    const production = {
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://api.atlas.test',
      APP_SECRET: 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5',
    };
    const config = (env: Record<string, string>) => digestConfig(Settings.from(env));
    expect(() => config({ ...production, DIGEST_LEGACY_MD5: 'true' })).toThrow(InvalidSettings);
    expect(() => config({ DIGEST_LEGACY_MD5: 'yes' })).toThrow('DIGEST_LEGACY_MD5 must be true or false.');
    const strict = { algorithms: ['SHA-256', 'SHA-512-256'], qops: ['auth', 'auth-int'] };
    expect(config(production)).toEqual(strict);
    expect(config({ DIGEST_LEGACY_MD5: 'false', DIGEST_REQUIRE_AUTH_INT: 'false' })).toEqual(strict);
  });
});

describe('HTTP Digest on two processes', () => {
  it('DIGEST-03 a nonce of one is good at the other, and a count is good once over both', async () => {
    const processes = await startProcesses(2);
    const [here, there] = processes.origins as [string, string];
    const ask = (origin: string, Authorization: string) => client(origin).get(DEMO, { Authorization });
    try {
      const sent = bobs(await challengeOf(here));
      expect((await ask(there, sent)).status).toBe(200);
      refused(await ask(here, sent), true);
      refused(await ask(there, sent), true);

      let round = 0;
      const unfair = await race({
        ...processes,
        parallel: 4,
        make: async () => bobs(await challengeOf(processes.origins[round++ % 2]!)),
        use: async (origin, Authorization) => (await ask(origin, Authorization)).status === 200,
      });
      expect(unfair).toEqual([]);
    } finally {
      await processes.stop();
    }
  });
});
