import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, UseGuards, type CanActivate, type Type } from '@nestjs/common';
import { Public, Caller } from '../src/authentication/plan.js';
import type { MethodName, Principal } from '../src/authentication/principal.js';
import { User } from '../src/users/user.entity.js';
import { boot, client, type Booted } from './support/app.js';
import { challengePattern, send } from './support/contracts.js';

/** A credential of one account, as its holder has it, and what the server can do to it. */
export interface Credential {
  /** The method's own client: adds the credential to a request. */
  readonly sign: (request: Request) => Request | Promise<Request>;
  /** Sends what was signed, where the credential is the connection's: a certificate. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** What such a connection is made with, as PEM. */
  readonly tls?: Readonly<Record<'ca' | 'cert' | 'key', string>>;
  readonly revoke: () => Promise<void>;
  /** Lets its time run out; absent where the method's credentials do not expire. */
  readonly expire?: () => Promise<void>;
}

export interface Contract {
  readonly name: MethodName;
  /** The challenge of a 401 to a request without a credential; `…` stands for what each has of its own. */
  readonly challenge: string;
  /** The `code` of a 401 to a credential that is wrong, whatever is wrong with it. */
  readonly code: string;
  readonly guard: Type<CanActivate>;
  /** Whether a stolen copy of a request is useless: then it reaches what is secret. */
  readonly bound?: true;
  /** Whether a request is good once; the `code` of the second 401, where that is another than {@link code}. */
  readonly once?: true | string;
  /** Whether it is part of a sign-in, and ends when all sign-ins of the account are ended. */
  readonly signIn?: true;
  /** Settings under which the rows hold. */
  readonly env?: Record<string, string>;
  /** The field that carries the credential: it may stand only once. */
  readonly header: string;
  readonly empty: Record<string, string>;
  readonly malformed: readonly Record<string, string>[];
  /** Well-formed, and nobody's. */
  readonly unknown: Record<string, string>;
  /**
   * A fresh credential of a demo user. The application under test may run in other processes, so this touches only
   * its address and its database; `app` is an application on that database, which need not be the one at `origin`.
   */
  readonly issue: (running: Running, userId: string) => Promise<Credential>;
  /** Credentials of other kinds that the method takes as well, for the bench. */
  readonly also?: Readonly<Record<string, Contract['issue']>>;
  /** So many credentials of one account, each another: for the bench, where one credential again and again is easier. */
  readonly many?: (running: Running, userId: string, count: number) => Promise<Record<string, string>[]>;
}

export type Running = Pick<Booted, 'origin' | 'db' | 'app'>;

/** The rows that every method must satisfy. */
export function satisfiesTheContract(contract: Contract): void {
  describe(`${contract.name} keeps the contract of all methods`, () => {
    @Controller()
    class Guarded {
      @Get('guarded')
      @Public()
      @UseGuards(contract.guard)
      show(@Caller() caller: Principal) {
        return { id: caller.id };
      }
    }

    let booted: Booted;
    const demo = `/demo/${contract.name}`;
    const call = async (credential: Credential, path = demo) => {
      const response = await send(credential, booted.origin + path);
      return { status: response.status, headers: response.headers, body: await response.json() };
    };
    const refused = (
      answer: { status: number; headers: Headers; body: { code: string } },
      code = contract.code,
    ) => {
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 401, code });
      expect(answer.headers.get('www-authenticate')).toMatch(
        new RegExp(`^${contract.challenge.split(' ')[0]}( |$)`),
      );
      expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    };

    beforeAll(async () => (booted = await boot({ controllers: [Guarded], env: contract.env ?? {} })));
    afterAll(() => booted.close());

    it('good: the caller is the account, proved by this method and no other', async () => {
      const answer = await call(await contract.issue(booted, 'bob'));
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ id: 'bob', tenantId: 'acme', roles: ['editor'] });
      expect(answer.body.proofs.map((proof: { method: string }) => proof.method)).toEqual([contract.name]);
    });

    it('is one of the ways into every route that names none', async () => {
      expect((await call(await contract.issue(booted, 'bob'), '/me')).status).toBe(200);
    });

    it('absent: 401 with the challenge of this method, and of this one only', async () => {
      const answer = await client(booted.origin).get(demo);
      refused(answer, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toMatch(challengePattern(contract.challenge));
    });

    it('absent on a route that names no method: this challenge is one of those offered', async () => {
      const answer = await client(booted.origin).get('/me');
      expect(answer.status).toBe(401);
      const { source } = challengePattern(contract.challenge);
      expect(answer.headers.get('www-authenticate')).toMatch(new RegExp(source.slice(1, -1)));
    });

    it('empty: refused', async () => refused(await client(booted.origin).get(demo, contract.empty)));

    it('malformed: refused', async () => {
      for (const headers of contract.malformed) refused(await client(booted.origin).get(demo, headers));
    });

    it('unknown: refused', async () => refused(await client(booted.origin).get(demo, contract.unknown)));

    it('wrong here stops: no other credential of the request is tried', async () => {
      refused(await client(booted.origin).get('/me', contract.unknown));
    });

    it('duplicated: 400, whichever of the two is good', async () => {
      const credential = await contract.issue(booted, 'bob');
      const { headers } = await credential.sign(new Request(booted.origin + demo));
      if (!headers.has(contract.header)) headers.set(contract.header, contract.unknown[contract.header]!);
      const lines = [...headers].flatMap(([name, value]) =>
        name === contract.header.toLowerCase()
          ? [`${name}: ${value}`, `${name}: ${value}`]
          : [`${name}: ${value}`],
      );
      const answer = await client(booted.origin).raw(
        `GET ${demo} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        ...lines,
        '',
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('"duplicate_header"');
    });

    it('revoked: refused on the next request', async () => {
      const credential = await contract.issue(booted, 'bob');
      expect((await call(credential)).status).toBe(200);
      await credential.revoke();
      refused(await call(credential));
    });

    it('expired: refused', async () => {
      const credential = await contract.issue(booted, 'bob');
      if (!credential.expire) return;
      expect((await call(credential)).status).toBe(200);
      await credential.expire();
      refused(await call(credential));
    });

    it('of a disabled account: refused on the next request, and good again when the account is', async () => {
      const credential = await contract.issue(booted, 'carol');
      expect((await call(credential)).status).toBe(200);
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: new Date() });
      const answer = await call(credential);
      refused(answer);
      // Nobody learns from it that the credential is good but for the account.
      const nobodys = await client(booted.origin).get(demo, contract.unknown);
      const asked = ({ headers }: { headers: Headers }) =>
        headers.get('www-authenticate')?.replace(/ nonce="[^"]*"/g, ' nonce="…"');
      expect(asked(answer)).toBe(asked(nobodys));
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: null });
      expect((await call(credential)).status).toBe(200);
    });

    it('sees the roles as they are now', async () => {
      const credential = await contract.issue(booted, 'carol');
      await booted.db.manager.update(User, { id: 'carol' }, { roles: ['auditor'] });
      expect((await call(credential)).body.roles).toEqual(['auditor']);
      await booted.db.manager.update(User, { id: 'carol' }, { roles: ['viewer'] });
      expect((await call(credential)).body.roles).toEqual(['viewer']);
    });

    it('of another tenant: the caller belongs to that tenant, and sees none of this one', async () => {
      const mallory = await contract.issue(booted, 'mallory');
      expect((await call(mallory)).body.tenantId).toBe('globex');
      const { body } = await call(mallory, '/documents?limit=100');
      expect(body.items.length).toBeGreaterThan(0);
      for (const item of body.items) expect(item.tenantId).toBe('globex');
    });

    it(`${contract.bound ? 'reaches' : 'does not reach'} what needs a sender-constrained proof`, async () => {
      const secret = '/documents/alice-draft-secret';
      const { status } = await call(await contract.issue(booted, 'alice'), secret);
      expect(status).toBe(contract.bound ? 200 : 404);
      const { proofs } = (await call(await contract.issue(booted, 'alice'))).body;
      expect(proofs[0].bound).toBe(contract.bound ?? false);
    });

    it(`the same request sent again is ${contract.once ? 'refused' : 'as good'}`, async () => {
      const credential = await contract.issue(booted, 'bob');
      const signed = await credential.sign(new Request(booted.origin + demo));
      const [first, again] = [signed.clone(), signed];
      const sendAs = credential.fetch ?? fetch;
      expect((await sendAs(first)).status).toBe(200);
      const answer = await sendAs(again);
      if (!contract.once) expect(answer.status).toBe(200);
      else {
        const { status, headers } = answer;
        refused(
          { status, headers, body: await answer.json() },
          contract.once === true ? contract.code : contract.once,
        );
      }
    });

    it('its own guard protects a single route', async () => {
      expect((await call(await contract.issue(booted, 'bob'), '/guarded')).body).toEqual({ id: 'bob' });
      refused(await client(booted.origin).get('/guarded'), 'unauthenticated');
      refused(await client(booted.origin).get('/guarded', contract.unknown));
    });
  });
}
