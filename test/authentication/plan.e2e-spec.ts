import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Injectable, Module, UseGuards, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { PassportStrategy } from '@nestjs/passport';
import { Test } from '@nestjs/testing';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import { Strategy } from 'passport-custom';
import { AuthenticationModule } from '../../src/authentication/authentication.module.js';
import {
  Authenticate,
  Caller,
  Public,
  HttpsOnly,
  SelfService,
  allOf,
  anyOf,
} from '../../src/authentication/plan.js';
import { AuthenticateGuard, MethodGuard } from '../../src/authentication/authenticate.guard.js';
import { Authenticator } from '../../src/authentication/authenticator.js';
import { BadCredential, Challenge } from '../../src/authentication/challenge.js';
import { authRequest, type AuthRequest } from '../../src/authentication/request.js';
import { mergePrincipals, type MethodName, type Principal } from '../../src/authentication/principal.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import { boot, client, type Booted } from '../support/app.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    red: true;
    blue: true;
    crumb: true;
    odd: true;
  }
}

/**
 * A method for these tests. The credential says whose it is and with which scopes: `bob`, `bob;documents:read`; or
 * it is `wrong`. Two are explicit, each in a header of its own; one is ambient, as a cookie is.
 */
function methodOf(
  name: MethodName,
  header: string,
  scheme: string,
  { ambient = false, revealing = false } = {},
): AuthMethod {
  @Injectable()
  class ColourStrategy extends PassportStrategy(Strategy, name) implements AuthStrategy {
    readonly challenge = new Challenge(scheme, { realm: 'test' });
    readonly ambient = ambient;
    readonly sendsSecret = revealing;

    claims = (request: AuthRequest) => request.header(header) !== undefined;

    validate(request: AuthRequest): Principal {
      const [id = '', scope] = request.header(header)!.replace('crumb=', '').split(';');
      if (id === 'wrong')
        throw new BadCredential('wrong_colour', `${name} was wrong`, { error: 'wrong "colour"' });
      if (id === 'broken') throw new Error('the database is down');
      const proof = { method: name, at: new Date(), amr: [name], bound: false };
      return {
        id,
        kind: 'user',
        tenantId: 'acme',
        roles: [],
        proofs: [proof],
        ...(scope && { scopes: scope.split(',') }),
      };
    }
  }
  @Module({ providers: [ColourStrategy] })
  class ColourModule {}
  return { name, module: ColourModule, strategy: ColourStrategy };
}

/** Strategies from npm end in every way that Passport knows; those that are asked to wait end when three do. */
@Injectable()
class OddStrategy extends Strategy implements AuthStrategy {
  readonly challenge = new Challenge('Odd');
  private readonly waiting: (() => void)[] = [];
  constructor() {
    super(() => {});
  }
  claims = (request: AuthRequest) => request.header('X-Odd') !== undefined;
  override authenticate(
    this: OddStrategy & Record<string, (...args: unknown[]) => void>,
    request: never,
  ): void {
    const [how = '', id] = (request as AuthRequest).header('X-Odd')!.split(';');
    if (how === 'wait') {
      this.waiting.push(() => this['success']!({ id, proofs: [] }));
      if (this.waiting.length === 3) this.waiting.forEach((end) => end());
      return;
    }
    this[how]!(how === 'error' ? new Error('odd') : undefined);
  }
}
@Module({ providers: [OddStrategy] })
class OddModule {}

const methods = [
  methodOf('crumb', 'Cookie', 'Cookie', { ambient: true }),
  methodOf('red', 'X-Red', 'Red'),
  methodOf('blue', 'X-Blue', 'Blue'),
  { name: 'odd', module: OddModule, strategy: OddStrategy } as AuthMethod,
];

@Injectable()
class RedGuard extends MethodGuard {
  protected readonly method = 'red';
}

@Controller()
class Bare {
  @Get('bare') @SelfService() bare(@Caller() caller: Principal) {
    return caller;
  }
}

@Controller()
@SelfService()
class Routes {
  @Get('red') @Authenticate('red') red(@Caller() caller: Principal) {
    return caller;
  }
  @Get('both') @Authenticate(allOf('red', 'blue')) both(@Caller() caller: Principal) {
    return caller;
  }
  @Get('nested') @Authenticate(anyOf('red', allOf('blue', 'crumb'))) nested(@Caller() caller: Principal) {
    return caller;
  }
}

@Controller()
class Odd {
  @Get('guarded') @SelfService() @UseGuards(RedGuard) guarded(@Caller() caller: Principal) {
    return caller;
  }
  @Get('nobody') @Public() nobody(@Caller() caller: Principal) {
    return caller;
  }
}

@Controller('nearest')
@Authenticate('red')
@SelfService()
class Nearest {
  @Get('class') closed() {
    return {};
  }
  @Get('method') @Public() open() {
    return {};
  }
}

describe('which credential is looked at', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ methods, controllers: [Bare, Routes, Nearest, Odd] })));
  afterAll(() => booted.close());

  const ask = (path: string, headers: Record<string, string> = {}) =>
    client(booted.origin, headers).get(path);
  const proofs = async (path: string, headers: Record<string, string>) => {
    const { status, body } = await ask(path, headers);
    return [status, ...(body.proofs ?? []).map((proof: { method: string }) => proof.method)];
  };
  const refusal = async (path: string, headers: Record<string, string> = {}) => {
    const { status, body, headers: answer } = await ask(path, headers);
    return [status, body.code, answer.get('www-authenticate')];
  };

  it('absent falls through: a route without a plan offers every method, the unasked one last', async () => {
    const [status, code, challenges] = await refusal('/bare');
    expect([status, code]).toEqual([401, 'unauthenticated']);
    expect(challenges).toMatch(/Red realm="test", Blue realm="test", Odd, .*Cookie realm="test"$/);
  });

  it('absent: a route with a plan offers the methods of the plan, each once', async () => {
    expect(await refusal('/red')).toEqual([401, 'unauthenticated', 'Red realm="test"']);
    expect(await refusal('/nested')).toEqual([
      401,
      'unauthenticated',
      'Red realm="test", Blue realm="test", Cookie realm="test"',
    ]);
  });

  it('bad stops: one challenge, with its parameters escaped, and no other method is tried', async () => {
    const bad = [401, 'wrong_colour', 'Red realm="test", error="wrong \\"colour\\""'];
    expect(await refusal('/bare', { 'X-Red': 'wrong' })).toEqual(bad);
    expect(await refusal('/bare', { 'X-Red': 'wrong', Cookie: 'crumb=bob' })).toEqual(bad);
    expect(await refusal('/nested', { 'X-Red': 'wrong', Cookie: 'crumb=bob' })).toEqual(bad);
  });

  it('what comes unasked yields to what is explicit', async () => {
    expect(await proofs('/bare', { Cookie: 'crumb=bob' })).toEqual([200, 'crumb']);
    expect(await proofs('/bare', { Cookie: 'crumb=bob', 'X-Red': 'bob' })).toEqual([200, 'red']);
  });

  it('two explicit credentials where the plan takes one are 400, even if one is junk', async () => {
    const ambiguous = [400, 'ambiguous_credentials', null];
    expect(await refusal('/bare', { 'X-Red': 'bob', 'X-Blue': 'bob' })).toEqual(ambiguous);
    expect(await refusal('/red', { 'X-Red': 'bob', 'X-Blue': 'bob' })).toEqual(ambiguous);
    expect(await refusal('/bare', { 'X-Red': 'bob', Authorization: 'Junk x' })).toEqual(ambiguous);
    expect(await refusal('/both', { 'X-Red': 'bob', 'X-Blue': 'bob', Authorization: 'Junk x' })).toEqual(
      ambiguous,
    );
  });

  it('junk that nobody claims never falls back to the cookie', async () => {
    for (const Authorization of ['Bearer junk', 'Junk', '', 'Red x']) {
      const [status, code, challenges] = await refusal('/bare', { Authorization, Cookie: 'crumb=bob' });
      expect([status, code]).toEqual([401, 'invalid_token']);
      expect(challenges).toContain(
        Authorization === 'Red x' ? 'Red realm="test", error="invalid_token"' : 'Red realm="test"',
      );
    }
  });

  it("another method's credential does not open a route that does not name it, nor lets the cookie", async () => {
    expect(await refusal('/red', { 'X-Blue': 'bob' })).toEqual([401, 'unauthenticated', 'Red realm="test"']);
    const [status] = await refusal('/nested', { 'X-Odd': 'success', Cookie: 'crumb=bob' });
    expect(status).toBe(401);
  });

  it('all of several: every proof counts, and the narrowest ceiling', async () => {
    const { body } = await ask('/both', {
      'X-Red': 'bob;documents:read,audit:read',
      'X-Blue': 'bob;documents:read',
    });
    expect(body).toMatchObject({
      id: 'bob',
      scopes: ['documents:read'],
      proofs: [{ method: 'red' }, { method: 'blue' }],
    });
    expect((await ask('/both', { 'X-Red': 'bob', 'X-Blue': 'bob;documents:read' })).body.scopes).toEqual([
      'documents:read',
    ]);
  });

  it('all of several: one ceiling is enough, and two that share nothing leave nothing', async () => {
    const scopes = async (red: string, blue: string) =>
      (await ask('/both', { 'X-Red': red, 'X-Blue': blue })).body.scopes;
    expect(await scopes('bob;documents:read', 'bob')).toEqual(['documents:read']);
    expect(await scopes('bob;documents:read', 'bob;audit:read')).toEqual([]);
    expect(await scopes('bob', 'bob')).toBeUndefined();
  });

  it('all of several: one is missing, and the answer asks for that one', async () => {
    expect(await refusal('/both', { 'X-Red': 'bob' })).toEqual([401, 'unauthenticated', 'Blue realm="test"']);
  });

  it('all of several: they must speak of the same account', async () => {
    expect(await refusal('/both', { 'X-Red': 'bob', 'X-Blue': 'alice' })).toEqual([
      401,
      'different_accounts',
      'Red realm="test", Blue realm="test"',
    ]);
  });

  it('all of several: the same id in another tenant is another account', () => {
    const proof = { method: 'red', at: new Date(), amr: [], bound: false } as const;
    const bob: Principal = { id: 'bob', kind: 'user', tenantId: 'acme', roles: [], proofs: [proof] };
    expect(mergePrincipals(bob, bob)).toMatchObject({ id: 'bob', proofs: [proof, proof] });
    expect(mergePrincipals(bob, { ...bob, tenantId: 'globex' })).toBeUndefined();
  });

  it('any of several, nested: each way works by itself', async () => {
    expect(await proofs('/nested', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    expect(await proofs('/nested', { 'X-Blue': 'bob', Cookie: 'crumb=bob' })).toEqual([200, 'blue', 'crumb']);
    expect(await refusal('/nested', { 'X-Blue': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Cookie realm="test"',
    ]);
  });

  it('the nearest of @Public and @Authenticate wins', async () => {
    expect((await ask('/nearest/class')).status).toBe(401);
    expect((await ask('/nearest/method')).status).toBe(200);
  });

  it("a method's own guard takes no other method's proof, and asks for its own only once", async () => {
    expect(await refusal('/guarded', { 'X-Blue': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Red realm="test"',
    ]);
    const asked = jest.spyOn(booted.app.get(Authenticator), 'authenticate');
    expect(await proofs('/guarded', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    expect(asked).toHaveBeenCalledTimes(1);
    asked.mockRestore();
  });

  it('a public route has no caller, and one that asks for it is a fault: 500', async () => {
    expect((await ask('/nobody', { 'X-Red': 'bob' })).status).toBe(500);
  });

  it('an Authorization or a Cookie that stands twice is refused, on a public route as well', async () => {
    for (const name of ['Authorization', 'Cookie']) {
      const lines = [
        'GET /nearest/method HTTP/1.1',
        'Host: a',
        'Connection: close',
        `${name}: a`,
        `${name}: b`,
      ];
      const answer = await client(booted.origin).raw(...lines, '');
      expect(answer).toMatch(/^HTTP\/1\.1 400 .*"duplicate_header"/s);
    }
  });

  it('a request without a host, or whose target is no path, is refused, whatever server it comes through', () => {
    const build = (url: string, ...host: string[]) => {
      const raw = Object.assign(new IncomingMessage(new Socket()), { url, headersDistinct: { host } });
      return authRequest({ raw, ip: '::1', protocol: 'http' }, new ServerResponse(raw));
    };
    expect(build('/me?a', 'a')).toMatchObject({ target: '/me?a', authority: 'a' });
    const refused = (code: string) =>
      expect.objectContaining({ response: expect.objectContaining({ code }) });
    expect(() => build('/me')).toThrow(refused('host_required'));
    expect(() => build('/me', 'a', 'b')).toThrow(refused('duplicate_header'));
    expect(() => build('http://evil.test/me', 'a')).toThrow(refused('invalid_target'));
  });

  it('a body whose bytes the application did not keep is a fault, and not an empty body', () => {
    const bytesOf = (headers: Record<string, string>, more: { body?: unknown; rawBody?: Buffer }) => {
      const raw = Object.assign(new IncomingMessage(new Socket()), {
        url: '/',
        headers,
        headersDistinct: { host: ['a'] },
      });
      return authRequest({ raw, ip: '::1', protocol: 'http', ...more }, new ServerResponse(raw)).rawBody;
    };
    const kept = Buffer.from('{}');
    const framings: Record<string, string>[] = [
      { 'content-length': '2' },
      { 'transfer-encoding': 'chunked' },
    ];
    for (const framing of framings) {
      expect(bytesOf(framing, { body: {}, rawBody: kept })).toBe(kept);
      expect(() => bytesOf(framing, { body: {} })).toThrow('`rawBody: true`');
      expect(bytesOf(framing, {})).toBeUndefined();
    }
    expect(bytesOf({}, { body: {} })).toBeUndefined();
  });

  it('a broken database is not a wrong password: 500, and not a word of it', async () => {
    const { status, headers, body } = await ask('/bare', { 'X-Red': 'broken' });
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([500, 'internal_error', null]);
    expect(JSON.stringify(body)).not.toContain('database');
  });

  it('a Passport strategy may end in any way, and only success with somebody is success', async () => {
    for (const how of ['fail', 'pass', 'success'])
      expect(await refusal('/bare', { 'X-Odd': how })).toEqual([401, 'invalid_credentials', 'Odd']);
    for (const how of ['error', 'redirect']) expect((await ask('/bare', { 'X-Odd': how })).status).toBe(500);
  });

  it('requests that are proved at the same time each get their own outcome', async () => {
    const ids = ['alice', 'bob', 'carol'];
    const answers = await Promise.all(ids.map((id) => ask('/bare', { 'X-Odd': `wait;${id}` })));
    expect(answers.map(({ body }) => body.id)).toEqual(ids);
  });

  it('an application without an error filter of its own sends the challenges too', async () => {
    const module = await Test.createTestingModule({
      imports: [AuthenticationModule.forRoot([methodOf('red', 'X-Red', 'Red')])],
      controllers: [Bare],
      providers: [{ provide: APP_GUARD, useExisting: AuthenticateGuard }],
    }).compile();
    const app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const { status, headers } = await client(`http://127.0.0.1:${port}`).get('/bare');
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Red realm="test"']);
    await app.close();
  });

  it('two applications in one process do not share their strategies', async () => {
    const other = await boot({ methods: [methodOf('red', 'X-Other', 'Other')], controllers: [Bare] });
    expect((await client(other.origin).get('/bare', { 'X-Red': 'bob' })).status).toBe(401);
    expect(await proofs('/bare', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    await other.close();
  });

  it('a challenge cannot be broken out of', () => {
    expect(String(new Challenge('Basic', { realm: 'a"\\\r\nSet-Cookie: x' }))).toBe(
      'Basic realm="a\\"\\\\Set-Cookie: x"',
    );
  });

  it('a challenge writes as tokens what its scheme forbids to quote, where it can be a token', () => {
    const digest = new Challenge('Digest', { realm: 'a' }, { tokens: ['stale', 'algorithm'] });
    expect(String(digest.with({ algorithm: 'SHA-256', stale: 'true' }))).toBe(
      'Digest realm="a", algorithm=SHA-256, stale=true',
    );
    expect(String(digest.with({ stale: 'true, realm=b' }))).toBe('Digest realm="a", stale="true, realm=b"');
  });

  it('a method can make its challenges anew for each 401, offer several, and send fields along', async () => {
    @Injectable()
    class NonceStrategy extends PassportStrategy(Strategy, 'blue') implements AuthStrategy {
      readonly challenge = new Challenge('Nonce', { realm: 'test' });
      private count = 0;
      challenges(): [Challenge, Challenge] {
        const nonce = String(++this.count);
        const fields = { 'X-Next-Nonce': nonce };
        return [
          this.challenge.with({ nonce, algorithm: 'A' }),
          new Challenge('Nonce', { realm: 'test', nonce, algorithm: 'B' }, { headers: fields }),
        ];
      }
      claims = (request: AuthRequest) => request.header('X-Nonce') !== undefined;
      validate(): Principal {
        throw new BadCredential('wrong_nonce', 'it is always wrong', { stale: 'true' });
      }
    }
    @Module({ providers: [NonceStrategy] })
    class NonceModule {}
    const method = { name: 'blue', module: NonceModule, strategy: NonceStrategy } as AuthMethod;
    const other = await boot({ methods: [method], controllers: [Bare] });
    const asked = async (headers = {}) => {
      const answer = await client(other.origin).get('/bare', headers);
      return [answer.headers.get('www-authenticate'), answer.headers.get('x-next-nonce')];
    };
    const both = (nonce: number, more = '') =>
      ['A', 'B'].map((algorithm) => `Nonce realm="test", nonce="${nonce}", algorithm="${algorithm}"${more}`);
    expect(await asked()).toEqual([both(1).join(', '), '1']);
    expect(await asked({ 'X-Nonce': 'x' })).toEqual([both(2, ', stale="true"').join(', '), '2']);
    await other.close();
  });

  describe('in production', () => {
    const PRODUCTION = {
      NODE_ENV: 'production',
      APP_SECRET: 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5',
      PUBLIC_URL: 'https://api.atlas.test',
      TRUST_PROXY: '127.0.0.1',
    };
    const revealing = methodOf('red', 'X-Red', 'Red', { revealing: true });
    const https = { 'X-Forwarded-Proto': 'https' };
    const start = (...others: AuthMethod[]) =>
      boot({
        methods: [revealing, ...others],
        controllers: [Bare],
        env: PRODUCTION,
        logTo: { write: () => {} },
      });

    it('what reveals itself on the wire is refused over plain HTTP before it is looked at', async () => {
      const production = await start();
      const { get } = client(production.origin);
      for (const credential of ['bob', 'wrong']) {
        const { status, body, headers } = await get('/bare', { 'X-Red': credential });
        expect([status, body.code, headers.get('www-authenticate')]).toEqual([403, 'https_required', null]);
      }
      expect((await get('/bare', { 'X-Red': 'bob', ...https })).status).toBe(200);
      expect((await get('/bare', { 'X-Red': 'wrong', ...https })).status).toBe(401);
      await production.close();
    });

    it('so is a route to which a secret is sent, a login', async () => {
      @Controller()
      class Login {
        @Get('login') @Public() @HttpsOnly() login() {
          return { reached: true };
        }
      }
      const production = await boot({
        methods: [],
        controllers: [Login],
        env: PRODUCTION,
        logTo: { write: () => {} },
      });
      const { get } = client(production.origin);
      expect(await get('/login')).toMatchObject({ status: 403, body: { code: 'https_required' } });
      expect((await get('/login', https)).status).toBe(200);
      await production.close();
    });

    it('and nobody is asked for it there, where there is another way in', async () => {
      const production = await start(methodOf('blue', 'X-Blue', 'Blue'));
      const asked = async (headers = {}) =>
        (await client(production.origin).get('/bare', headers)).headers.get('www-authenticate');
      expect(await asked()).toBe('Blue realm="test"');
      expect(await asked(https)).toBe('Red realm="test", Blue realm="test"');
      await production.close();
    });
  });

  it('a ceremony without an issuer does not start', () => {
    const ceremony = { name: 'blue', module: OddModule as Type } as AuthMethod;
    expect(() => AuthenticationModule.forRoot([ceremony])).toThrow(
      'blue ends in an issuer, and none is installed',
    );
  });

  it('a route that names a method which is not installed does not start', async () => {
    @Controller()
    class Wrong {
      @Get('wrong') @Authenticate('blue') @SelfService() wrong() {
        return {};
      }
    }
    await expect(boot({ methods: [], controllers: [Wrong] })).rejects.toThrow('"blue"');
  });
});
