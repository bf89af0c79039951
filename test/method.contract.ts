import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, UseGuards, type CanActivate, type Type } from '@nestjs/common';
import { Public, Caller } from '../src/authentication/plan.js';
import type { MethodName, Principal } from '../src/authentication/principal.js';
import { Settings } from '../src/config/settings.js';
import { User } from '../src/users/user.entity.js';
import { boot, client, type Booted } from './support/app.js';
import { challengePattern, send } from './support/contracts.js';

/** A credential of one account: its use by the holder, and its end by the server. */
export interface Credential {
  /** The method's own client: adds the credential to a request. */
  readonly sign: (request: Request) => Request | Promise<Request>;
  /** Sends the signed request on the credential's own connection; only for client certificates. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** The certificates of that connection, as PEM. */
  readonly tls?: Readonly<Record<'ca' | 'cert' | 'key', string>>;
  readonly revoke: () => Promise<void>;
  /** Makes it expire; absent if credentials of the method do not expire. */
  readonly expire?: () => Promise<void>;
}

export interface Contract {
  readonly name: MethodName;
  /** The challenge of a 401 to a request without a credential. `…` matches any value. */
  readonly challenge: string;
  /** The `code` of a 401 to an invalid credential. */
  readonly code: string;
  readonly guard: Type<CanActivate>;
  /** Whether the credential is sender-constrained; only then may the caller read secret documents. */
  readonly bound?: true;
  /** Whether a request is accepted only once. A string is the `code` of the second response, if it differs from {@link code}. */
  readonly once?: true | string;
  /** Whether the credential belongs to a sign-in, and ends with all sign-ins of the account. */
  readonly endsWithSignIns?: true;
  /** Whether the credential is a sign-in of the account, which manages the account's credentials. */
  readonly managesCredentials?: true;
  /** Whether a browser remembers the credential, and sends it with requests that pages of other sites make. */
  readonly rememberedByBrowsers?: true;
  /** Settings for the cases. */
  readonly env?: Record<string, string>;
  /** The header that carries the credential. It may occur only once. */
  readonly header: string;
  readonly empty: Record<string, string>;
  readonly malformed: readonly Record<string, string>[];
  /** A request of 16 KiB, almost all the server accepts, whose rejection costs the most. The target is the demo route by default. */
  readonly costly: { readonly target?: string; readonly headers: Record<string, string> };
  /** Well-formed, but of no account. */
  readonly unknown: Record<string, string>;
  /**
   * Issues a credential of a demo user. The application at `origin` may run in another process. `app` is an application on the same
   * database.
   */
  readonly issue: (running: Running, userId: string) => Promise<Credential>;
  /** Other kinds of credentials of the method, for the benchmark. */
  readonly also?: Readonly<Record<string, Contract['issue']>>;
  /** Headers of many different credentials of one account, for the benchmark. */
  readonly many?: (running: Running, userId: string, count: number) => Promise<Record<string, string>[]>;
}

export type Running = Pick<Booted, 'origin' | 'db' | 'app'>;

/** Tests the cases that every method must pass. */
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
    const expectRejected = (
      response: { status: number; headers: Headers; body: { code: string } },
      code = contract.code,
    ) => {
      expect({ status: response.status, code: response.body.code }).toEqual({ status: 401, code });
      expect(response.headers.get('www-authenticate')).toMatch(
        new RegExp(`^${contract.challenge.split(' ')[0]}( |$)`),
      );
      expect(response.headers.get('content-type')).toMatch('application/problem+json');
    };

    beforeAll(async () => (booted = await boot({ controllers: [Guarded], env: contract.env ?? {} })));
    afterAll(() => booted.close());

    it('accepts a valid credential, and proves the account by this method only', async () => {
      const response = await call(await contract.issue(booted, 'bob'));
      expect(response.status).toBe(200);
      expect(response.body).toMatchObject({ id: 'bob', tenantId: 'acme', roles: ['editor'] });
      expect(response.body.proofs.map((proof: { method: string }) => proof.method)).toEqual([contract.name]);
    });

    it('is accepted at routes that name no method', async () => {
      expect((await call(await contract.issue(booted, 'bob'), '/me')).status).toBe(200);
    });

    it('responds to a missing credential with 401 and the challenge of this method only', async () => {
      const response = await client(booted.origin).get(demo);
      expectRejected(response, 'unauthenticated');
      expect(response.headers.get('www-authenticate')).toMatch(challengePattern(contract.challenge));
    });

    it('includes its challenge in the 401 of a route that names no method', async () => {
      const response = await client(booted.origin).get('/me');
      expect(response.status).toBe(401);
      const { source } = challengePattern(contract.challenge);
      expect(response.headers.get('www-authenticate')).toMatch(new RegExp(source.slice(1, -1)));
    });

    it('rejects an empty credential', async () =>
      expectRejected(await client(booted.origin).get(demo, contract.empty)));

    it('rejects malformed credentials', async () => {
      for (const headers of contract.malformed)
        expectRejected(await client(booted.origin).get(demo, headers));
    });

    it('rejects a credential of 16 KiB', async () => {
      const { target = demo, headers } = contract.costly;
      expectRejected(await client(booted.origin).get(target, headers));
    });

    it('rejects an unknown credential', async () =>
      expectRejected(await client(booted.origin).get(demo, contract.unknown)));

    it('tries no other method after an invalid credential', async () => {
      expectRejected(await client(booted.origin).get('/me', contract.unknown));
    });

    it('responds to a repeated header with 400', async () => {
      const credential = await contract.issue(booted, 'bob');
      const { headers } = await credential.sign(new Request(booted.origin + demo));
      if (!headers.has(contract.header)) headers.set(contract.header, contract.unknown[contract.header]!);
      const lines = [...headers].flatMap(([name, value]) =>
        name === contract.header.toLowerCase()
          ? [`${name}: ${value}`, `${name}: ${value}`]
          : [`${name}: ${value}`],
      );
      const response = await client(booted.origin).raw(
        `GET ${demo} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        ...lines,
        '',
      );
      expect(response).toMatch(/^HTTP\/1\.1 400 /);
      expect(response).toContain('"duplicate_header"');
    });

    it('rejects a revoked credential on the next request', async () => {
      const credential = await contract.issue(booted, 'bob');
      expect((await call(credential)).status).toBe(200);
      await credential.revoke();
      expectRejected(await call(credential));
    });

    it('rejects an expired credential', async () => {
      const credential = await contract.issue(booted, 'bob');
      if (!credential.expire) return;
      expect((await call(credential)).status).toBe(200);
      await credential.expire();
      expectRejected(await call(credential));
    });

    it('rejects the credential of a disabled account, and accepts it again once enabled', async () => {
      const credential = await contract.issue(booted, 'carol');
      expect((await call(credential)).status).toBe(200);
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: new Date() });
      const response = await call(credential);
      expectRejected(response);
      // The response does not reveal that only the account is disabled.
      const unknown = await client(booted.origin).get(demo, contract.unknown);
      const challengeOf = ({ headers }: { headers: Headers }) =>
        headers.get('www-authenticate')?.replace(/ nonce="[^"]*"/g, ' nonce="…"');
      expect(challengeOf(response)).toBe(challengeOf(unknown));
      await booted.db.manager.update(User, { id: 'carol' }, { disabledAt: null });
      expect((await call(credential)).status).toBe(200);
    });

    if (contract.managesCredentials)
      it('rejects a sign-in that lacks the second factor of its account', async () => {
        const credential = await contract.issue(booted, 'carol');
        await booted.db.manager.update(User, { id: 'carol' }, { mfaSince: new Date() });
        expectRejected(await call(credential));
        await booted.db.manager.update(User, { id: 'carol' }, { mfaSince: null });
        expect((await call(credential)).status).toBe(200);
      });
    else
      it('needs no second factor, because it is no sign-in', async () => {
        const credential = await contract.issue(booted, 'carol');
        await booted.db.manager.update(User, { id: 'carol' }, { mfaSince: new Date() });
        expect((await call(credential)).status).toBe(200);
        await booted.db.manager.update(User, { id: 'carol' }, { mfaSince: null });
      });

    it('reads the current roles on each request', async () => {
      const credential = await contract.issue(booted, 'carol');
      await booted.db.manager.update(User, { id: 'carol' }, { roles: ['auditor'] });
      expect((await call(credential)).body.roles).toEqual(['auditor']);
      await booted.db.manager.update(User, { id: 'carol' }, { roles: ['viewer'] });
      expect((await call(credential)).body.roles).toEqual(['viewer']);
    });

    it('keeps a caller of another tenant out of this tenant', async () => {
      const mallory = await contract.issue(booted, 'mallory');
      expect((await call(mallory)).body.tenantId).toBe('globex');
      const { body } = await call(mallory, '/documents?limit=100');
      expect(body.items.length).toBeGreaterThan(0);
      for (const item of body.items) expect(item.tenantId).toBe('globex');
    });

    it(`${contract.bound ? 'passes' : 'does not pass'} rules that require a sender-constrained proof`, async () => {
      const secret = '/documents/alice-draft-secret';
      const { status } = await call(await contract.issue(booted, 'alice'), secret);
      expect(status).toBe(contract.bound ? 200 : 404);
      const { proofs } = (await call(await contract.issue(booted, 'alice'))).body;
      expect(proofs[0].bound).toBe(contract.bound ?? false);
    });

    it(`${contract.once ? 'rejects' : 'accepts'} the same request sent again`, async () => {
      const credential = await contract.issue(booted, 'bob');
      const signed = await credential.sign(new Request(booted.origin + demo));
      const [first, again] = [signed.clone(), signed];
      const sendAs = credential.fetch ?? fetch;
      expect((await sendAs(first)).status).toBe(200);
      const response = await sendAs(again);
      if (!contract.once) expect(response.status).toBe(200);
      else {
        const { status, headers } = response;
        expectRejected(
          { status, headers, body: await response.json() },
          contract.once === true ? contract.code : contract.once,
        );
      }
    });

    if (contract.rememberedByBrowsers)
      it('rejects a write that a page of another site makes a browser send', async () => {
        const credential = await contract.issue(booted, 'bob');
        const write = async (headers: Record<string, string>) => {
          const response = await send(credential, `${booted.origin}/documents`, {
            method: 'POST',
            headers: { ...headers, 'Content-Type': 'application/json' },
            body: '{"title":"by a browser"}',
          });
          return [response.status, ((await response.json()) as { code?: string }).code];
        };
        const before = await booted.db.manager.count('documents');
        for (const headers of [
          { 'Sec-Fetch-Site': 'cross-site' },
          { 'Sec-Fetch-Site': 'same-site' },
          { Origin: 'https://evil.test' },
          { Origin: 'null' },
        ] as Record<string, string>[])
          expect([headers, await write(headers)]).toEqual([headers, [403, 'cross_site_request']]);
        expect(await booted.db.manager.count('documents')).toBe(before);
        const { publicUrl } = booted.app.get(Settings);
        for (const headers of [{}, { 'Sec-Fetch-Site': 'same-origin' }, { Origin: publicUrl }] as Record<
          string,
          string
        >[])
          expect([headers, await write(headers)]).toEqual([headers, [201, undefined]]);
      });

    it('protects a single route by its own guard', async () => {
      expect((await call(await contract.issue(booted, 'bob'), '/guarded')).body).toEqual({ id: 'bob' });
      expectRejected(await client(booted.origin).get('/guarded'), 'unauthenticated');
      expectRejected(await client(booted.origin).get('/guarded', contract.unknown));
    });
  });
}
