import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { BadCredential } from '../../src/authentication/challenge.js';
import { completedAmr } from '../../src/authentication/factors.js';
import type { AuthMethod, Factor, FactorResponse } from '../../src/authentication/method.js';
import { Settings } from '../../src/config/settings.js';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { SignInService } from '../../src/users/sign-in.service.js';
import { User } from '../../src/users/user.entity.js';
import { AuditEvent } from '../../src/audit/audit-event.entity.js';
import { as, boot, client, testMethod, type Booted } from '../support/app.js';
import { mfaTicket, proveSecondFactor } from '../support/second-step.js';
import { testIssuer, withTestToken, TestIssuer } from '../support/test-issuer.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    totp: true;
    password: true;
  }
}

/** A second factor whose only code is `correct`. It takes the place of a removable one in the table of factors. */
@Injectable()
class TestFactor implements Factor {
  readonly responseField = 'code';
  readonly enrolled = new Set<string>();
  begun = 0;
  isEnrolled = async (_manager: object, id: string) => this.enrolled.has(id);
  async begin() {
    return { begun: ++this.begun };
  }
  async verify(_id: string, { code }: FactorResponse) {
    if (code !== 'correct') throw new BadCredential('invalid_factor', 'wrong code');
    return { amr: ['otp'] };
  }
}
@Module({ providers: [TestFactor], exports: [TestFactor] })
class TestFactorModule {}
const testFactor = {
  name: 'totp',
  module: TestFactorModule,
  factor: TestFactor,
} satisfies AuthMethod;

/** A first factor, for step-ups of accounts without a second one. */
@Injectable()
class TestPassword implements Factor {
  readonly responseField = 'password';
  isEnrolled = async () => true;
  async verify(_id: string, { password }: FactorResponse) {
    if (password !== 'correct') throw new BadCredential('invalid_factor', 'wrong password');
    return { amr: ['pwd'] };
  }
}
@Module({ providers: [TestPassword] })
class TestPasswordModule {}
const testPassword = {
  name: 'password',
  module: TestPasswordModule,
  factor: TestPassword,
} satisfies AuthMethod;

const CODE = { factor: 'totp', code: 'correct' };
const PASSWORD = { factor: 'password', password: 'correct' };

describe('the second step of a sign-in', () => {
  let booted: Booted;
  beforeAll(async () => {
    booted = await boot({ methods: [testFactor, testPassword, testIssuer, testMethod] });
  });
  afterAll(() => booted.close());
  beforeEach(async () => {
    booted.app.get(TestFactor, { strict: false }).enrolled.add('bob');
    await booted.db.manager.update(User, { id: 'bob' }, { mfaSince: new Date(), disabledAt: null });
    await booted.db.sql`DELETE FROM login_failures`;
  });

  const issuer = () => booted.app.get(TestIssuer, { strict: false });
  const ticketOf = (userId = 'bob') => mfaTicket(booted, userId, 'test-issuer');
  const prove = async (ticket: string, proof: object = CODE) => {
    const response = await proveSecondFactor(booted.origin, ticket, proof);
    const body = (await response.json()) as Record<string, string>;
    return { status: response.status, body, headers: response.headers };
  };
  const bob = (token: string) => client(booted.origin, withTestToken(token));
  /** Signs bob in with both factors. */
  const signIn = async () => (await prove(await ticketOf())).body['test_token']!;
  const account = (id = 'bob') => booted.db.manager.findOneByOrFail(User, { id });

  it('completes the sign-in with both factors', async () => {
    const { status, body } = await prove(await ticketOf());
    expect(status).toBe(200);
    const { proofs } = (await bob(body['test_token']!).get('/me')).body;
    expect(proofs).toMatchObject([{ amr: ['pwd', 'otp', 'mfa'], signIn: true }]);
  });

  it('starts instead of the issuer if the account has a second factor', async () => {
    const signIns = booted.app.get(SignInService, { strict: false });
    const before = issuer().tokens.size;
    const first = {
      user: await account(),
      method: 'test',
      at: new Date(),
      amr: ['pwd'],
      as: 'test-issuer',
    } as const;
    const error = await signIns.complete(first, {} as never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      status: 401,
      response: {
        code: 'mfa_required',
        members: { mfa_token: expect.any(String), factors: ['totp'], expires_in: 600 },
      },
    });
    expect(issuer().tokens.size).toBe(before);
  });

  it('prepares a factor that needs it', async () => {
    const path = '/auth/mfa/options';
    const { status, body } = await client(booted.origin).post(path, {
      factor: 'totp',
      mfa_token: await ticketOf(),
    });
    expect([status, body]).toEqual([200, { begun: 1 }]);
  });

  it('ends with the first use of the ticket', async () => {
    const ticket = await ticketOf();
    expect((await prove(ticket)).status).toBe(200);
    expect(await prove(ticket)).toMatchObject({ status: 401, body: { code: 'invalid_mfa_token' } });
  });

  it('issues one credential for 20 concurrent uses of the ticket', async () => {
    const ticket = await ticketOf();
    const results = await Promise.all(Array.from({ length: 20 }, () => prove(ticket)));
    expect(results.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('rejects a ticket that is absent, altered, expired or of ended sign-ins', async () => {
    const ticket = await ticketOf();
    const invalid = { status: 401, body: { code: 'invalid_mfa_token' } };
    expect(await prove('')).toMatchObject({ status: 422 });
    expect(await client(booted.origin).post('/auth/mfa', CODE)).toMatchObject(invalid);
    expect(await prove(`${ticket.slice(0, -1)}${ticket.endsWith('A') ? 'B' : 'A'}`)).toMatchObject(invalid);
    expect(await prove('x')).toMatchObject(invalid);
    const { epoch } = await account();
    const expired = { id: 'x', accountId: 'bob', epoch, as: 'test-issuer', method: 'test', amr: ['pwd'] };
    const box = new SecretBox(booted.app.get(Settings, { strict: false }), 'mfa-tickets');
    const seal = (expires: number) => box.seal(JSON.stringify({ ...expired, expires }), 'mfa-ticket');
    expect(await prove(seal(Date.now() - 1))).toMatchObject(invalid);
    expect((await prove(seal(Date.now() + 60_000))).status).toBe(200);
    await booted.db.manager.increment(User, { id: 'bob' }, 'epoch', 1);
    expect(await prove(ticket)).toMatchObject(invalid);
    const other = await ticketOf();
    await booted.db.manager.update(User, { id: 'bob' }, { disabledAt: new Date() });
    expect(await prove(other)).toMatchObject(invalid);
  });

  it('authenticates nothing else', async () => {
    const ticket = await ticketOf();
    for (const headers of [
      { Authorization: `Bearer ${ticket}` },
      withTestToken(ticket),
      { Cookie: `second-step=${ticket}` },
    ])
      expect((await client(booted.origin, headers).get('/me')).status).toBe(401);
  });

  it('accepts the ticket of the cookie, and rejects two cookies', async () => {
    const ticket = await ticketOf();
    const twice = client(booted.origin, { Cookie: `second-step=${ticket}; second-step=${ticket}` });
    expect(await twice.post('/auth/mfa', CODE)).toMatchObject({
      status: 400,
      body: { code: 'duplicate_cookie' },
    });
    const once = await client(booted.origin, { Cookie: `second-step=${ticket}` }).post('/auth/mfa', CODE);
    expect(once.status).toBe(200);
    expect(once.headers.getSetCookie()).toEqual([expect.stringMatching(/^second-step=; .*Max-Age=0/)]);
  });

  it('accepts no first factor, no unknown one and none that the account lacks', async () => {
    for (const proof of [PASSWORD, { factor: 'unknown', code: 'correct' }]) {
      const { status, body } = await prove(await ticketOf(), proof);
      expect([status, body['errors']]).toEqual([
        422,
        [{ field: 'factor', message: 'Must be one of: totp.' }],
      ]);
    }
    booted.app.get(TestFactor, { strict: false }).enrolled.delete('bob');
    expect((await prove(await ticketOf())).status).toBe(422);
  });

  it('requires the member that the factor reads', async () => {
    const { status, body } = await prove(await ticketOf(), { factor: 'totp', password: 'correct' });
    expect([status, body['errors']]).toEqual([
      422,
      [{ field: 'code', message: 'Required for this factor.' }],
    ]);
  });

  it('audits a wrong factor, and blocks the account after five', async () => {
    const wrong = { factor: 'totp', code: 'wrong' };
    const { status, body } = await prove(await ticketOf(), wrong);
    expect([status, body['code']]).toEqual([401, 'invalid_factor']);
    const requestId = body['requestId']!;
    expect(await booted.db.manager.findBy(AuditEvent, { requestId })).toMatchObject([
      { event: 'authn_login_fail', userId: 'bob', method: 'totp' },
    ]);
    for (let i = 0; i < 4; i++) await prove(await ticketOf(), wrong);
    expect(await prove(await ticketOf())).toMatchObject({ status: 429, body: { code: 'too_many_attempts' } });
  });

  it('is required by every method: a sign-in that lacks it authenticates nothing', async () => {
    const token = await signIn();
    expect((await bob(token).get('/me')).status).toBe(200);
    const stored = issuer().tokens.get(token)!;
    const [proof] = stored.principal.proofs;
    issuer().tokens.set(token, {
      ...stored,
      principal: { ...stored.principal, proofs: [{ ...proof, amr: ['pwd'] }] },
    });
    expect((await bob(token).get('/me')).status).toBe(401);
  });

  describe('step-up', () => {
    /** A sign-in of ten minutes ago. */
    const oldSignIn = async (amr: readonly string[]) => {
      const token = await signIn();
      const stored = issuer().tokens.get(token)!;
      const proof = { ...stored.principal.proofs[0], amr, at: new Date(Date.now() - 600_000) };
      issuer().tokens.set(token, { ...stored, principal: { ...stored.principal, proofs: [proof] } });
      return token;
    };
    const proofsOf = async (token: string) =>
      (await bob(token).get('/me')).body.proofs[0] as { at: string; amr: string[] };

    it('adds a fresh second factor to the sign-in', async () => {
      const token = await oldSignIn(['pwd', 'otp', 'mfa']);
      const { status, body } = await bob(token).post('/auth/step-up', CODE);
      expect(status).toBe(200);
      const { at, amr } = await proofsOf(body.test_token as string);
      expect(amr).toEqual(completedAmr(['pwd'], ['otp']));
      expect(Date.now() - Date.parse(at)).toBeLessThan(60_000);
    });

    it('by a first factor is for accounts without a second one', async () => {
      const token = await oldSignIn(['pwd', 'otp', 'mfa']);
      expect((await bob(token).post('/auth/step-up', PASSWORD)).status).toBe(422);

      booted.app.get(TestFactor, { strict: false }).enrolled.delete('bob');
      await booted.db.manager.update(User, { id: 'bob' }, { mfaSince: null });
      const { status, body } = await bob(token).post('/auth/step-up', PASSWORD);
      expect(status).toBe(200);
      expect((await proofsOf(body.test_token as string)).amr).toEqual(['pwd']);
      const wrong = await bob(token).post('/auth/step-up', { factor: 'password', password: 'wrong' });
      expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_factor']);
    });

    it('lists the factors that count now', async () => {
      const token = await signIn();
      expect((await bob(token).get('/auth/factors')).body.items).toMatchObject([
        { factor: 'totp', kinds: ['possession'], enrolled: true, usable: true },
        { factor: 'password', kinds: ['knowledge'], enrolled: true, usable: false },
      ]);
    });

    it('prepares a factor that needs it', async () => {
      const { status, body } = await bob(await signIn()).post('/auth/step-up/options', { factor: 'totp' });
      expect([status, body]).toEqual([200, { begun: expect.any(Number) }]);
    });

    it('needs a session or a token of a sign-in', async () => {
      for (const path of ['/auth/step-up', '/auth/step-up/options']) {
        const body = path.endsWith('options') ? { factor: 'totp' } : CODE;
        const response = await client(booted.origin, as({ id: 'bob' })).post(path, body);
        expect([response.status, response.body.code]).toEqual([400, 'not_signed_in']);
      }
    });
  });
});
