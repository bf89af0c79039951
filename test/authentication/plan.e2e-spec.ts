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
import { RANDOM_SECRET, boot, client, type Booted } from '../support/app.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    red: true;
    blue: true;
    cookie: true;
    odd: true;
  }
}

/**
 * A method for these tests. A credential is a user id with optional scopes (`bob`, `bob;documents:read`), or `wrong`,
 * or `broken`. Red and blue credentials are explicit, each in its own header. The ambient one is a cookie.
 */
function methodOf(
  name: MethodName,
  header: string,
  scheme: string,
  { ambient = false, sendsSecret = false } = {},
): AuthMethod {
  @Injectable()
  class ColourStrategy extends PassportStrategy(Strategy, name) implements AuthStrategy {
    readonly challenge = new Challenge(scheme, { realm: 'test' });
    readonly ambient = ambient;
    readonly sendsSecret = sendsSecret;

    claims = (request: AuthRequest) => request.header(header) !== undefined;

    validate(request: AuthRequest): Principal {
      const [id = '', scope] = request.header(header)!.replace('cookie=', '').split(';');
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

/** Ends in the way that the header names, as strategies from npm do. `wait` ends when three requests wait. */
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
  methodOf('cookie', 'Cookie', 'Cookie', { ambient: true }),
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
  @Get('nested') @Authenticate(anyOf('red', allOf('blue', 'cookie'))) nested(@Caller() caller: Principal) {
    return caller;
  }
}

@Controller()
class Odd {
  @Get('guarded') @SelfService() @UseGuards(RedGuard) guarded(@Caller() caller: Principal) {
    return caller;
  }
  @Get('public') @Public() callerOfPublic(@Caller() caller: Principal) {
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

describe('the choice of a credential', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot({ methods, controllers: [Bare, Routes, Nearest, Odd] })));
  afterAll(() => booted.close());

  const send = (path: string, headers: Record<string, string> = {}) =>
    client(booted.origin, headers).get(path);
  const proofs = async (path: string, headers: Record<string, string>) => {
    const { status, body } = await send(path, headers);
    return [status, ...(body.proofs ?? []).map((proof: { method: string }) => proof.method)];
  };
  const rejection = async (path: string, headers: Record<string, string> = {}) => {
    const { status, body, headers: responseHeaders } = await send(path, headers);
    return [status, body.code, responseHeaders.get('www-authenticate')];
  };

  it('challenges with every method on a route without a plan, ambient methods last', async () => {
    const [status, code, challenges] = await rejection('/bare');
    expect([status, code]).toEqual([401, 'unauthenticated']);
    expect(challenges).toMatch(/Red realm="test", Blue realm="test", Odd, .*Cookie realm="test"$/);
  });

  it('challenges once with each method of the plan', async () => {
    expect(await rejection('/red')).toEqual([401, 'unauthenticated', 'Red realm="test"']);
    expect(await rejection('/nested')).toEqual([
      401,
      'unauthenticated',
      'Red realm="test", Blue realm="test", Cookie realm="test"',
    ]);
  });

  it('rejects an invalid credential with one escaped challenge, and tries no other method', async () => {
    const bad = [401, 'wrong_colour', 'Red realm="test", error="wrong \\"colour\\""'];
    expect(await rejection('/bare', { 'X-Red': 'wrong' })).toEqual(bad);
    expect(await rejection('/bare', { 'X-Red': 'wrong', Cookie: 'cookie=bob' })).toEqual(bad);
    expect(await rejection('/nested', { 'X-Red': 'wrong', Cookie: 'cookie=bob' })).toEqual(bad);
  });

  it('prefers an explicit credential to an ambient one', async () => {
    expect(await proofs('/bare', { Cookie: 'cookie=bob' })).toEqual([200, 'cookie']);
    expect(await proofs('/bare', { Cookie: 'cookie=bob', 'X-Red': 'bob' })).toEqual([200, 'red']);
  });

  it('responds 400 to one explicit credential more than the plan takes, even an unknown one', async () => {
    const ambiguous = [400, 'ambiguous_credentials', null];
    expect(await rejection('/bare', { 'X-Red': 'bob', 'X-Blue': 'bob' })).toEqual(ambiguous);
    expect(await rejection('/red', { 'X-Red': 'bob', 'X-Blue': 'bob' })).toEqual(ambiguous);
    expect(await rejection('/bare', { 'X-Red': 'bob', Authorization: 'Junk x' })).toEqual(ambiguous);
    expect(await rejection('/both', { 'X-Red': 'bob', 'X-Blue': 'bob', Authorization: 'Junk x' })).toEqual(
      ambiguous,
    );
  });

  it('rejects an unknown Authorization header without falling back to the cookie', async () => {
    for (const Authorization of ['Bearer junk', 'Junk', '', 'Red x']) {
      const [status, code, challenges] = await rejection('/bare', { Authorization, Cookie: 'cookie=bob' });
      expect([status, code]).toEqual([401, 'invalid_token']);
      expect(challenges).toContain(
        Authorization === 'Red x' ? 'Red realm="test", error="invalid_token"' : 'Red realm="test"',
      );
    }
  });

  it("rejects another method's credential on a route that does not name it, also with a valid cookie", async () => {
    expect(await rejection('/red', { 'X-Blue': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Red realm="test"',
    ]);
    const [status] = await rejection('/nested', { 'X-Odd': 'success', Cookie: 'cookie=bob' });
    expect(status).toBe(401);
  });

  it('allOf returns every proof, limited to the scopes that all credentials have', async () => {
    const { body } = await send('/both', {
      'X-Red': 'bob;documents:read,audit:read',
      'X-Blue': 'bob;documents:read',
    });
    expect(body).toMatchObject({
      id: 'bob',
      scopes: ['documents:read'],
      proofs: [{ method: 'red' }, { method: 'blue' }],
    });
    expect((await send('/both', { 'X-Red': 'bob', 'X-Blue': 'bob;documents:read' })).body.scopes).toEqual([
      'documents:read',
    ]);
  });

  it('allOf is limited by one scoped credential, and permits nothing if two share no scope', async () => {
    const scopes = async (red: string, blue: string) =>
      (await send('/both', { 'X-Red': red, 'X-Blue': blue })).body.scopes;
    expect(await scopes('bob;documents:read', 'bob')).toEqual(['documents:read']);
    expect(await scopes('bob;documents:read', 'bob;audit:read')).toEqual([]);
    expect(await scopes('bob', 'bob')).toBeUndefined();
  });

  it('allOf challenges only with the missing method', async () => {
    expect(await rejection('/both', { 'X-Red': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Blue realm="test"',
    ]);
  });

  it('allOf rejects credentials of different accounts', async () => {
    expect(await rejection('/both', { 'X-Red': 'bob', 'X-Blue': 'alice' })).toEqual([
      401,
      'different_accounts',
      'Red realm="test", Blue realm="test"',
    ]);
  });

  it('allOf treats the same id in another tenant as another account', () => {
    const proof = { method: 'red', at: new Date(), amr: [], bound: false } as const;
    const bob: Principal = { id: 'bob', kind: 'user', tenantId: 'acme', roles: [], proofs: [proof] };
    expect(mergePrincipals(bob, bob)).toMatchObject({ id: 'bob', proofs: [proof, proof] });
    expect(mergePrincipals(bob, { ...bob, tenantId: 'globex' })).toBeUndefined();
  });

  it('a nested anyOf accepts each alternative by itself', async () => {
    expect(await proofs('/nested', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    expect(await proofs('/nested', { 'X-Blue': 'bob', Cookie: 'cookie=bob' })).toEqual([
      200,
      'blue',
      'cookie',
    ]);
    expect(await rejection('/nested', { 'X-Blue': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Cookie realm="test"',
    ]);
  });

  it('a decorator of the handler overrides @Public or @Authenticate of the class', async () => {
    expect((await send('/nearest/class')).status).toBe(401);
    expect((await send('/nearest/method')).status).toBe(200);
  });

  it("a method's own guard rejects other methods, and authenticates once per request", async () => {
    expect(await rejection('/guarded', { 'X-Blue': 'bob' })).toEqual([
      401,
      'unauthenticated',
      'Red realm="test"',
    ]);
    const authenticate = jest.spyOn(booted.app.get(Authenticator), 'authenticate');
    expect(await proofs('/guarded', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    expect(authenticate).toHaveBeenCalledTimes(1);
    authenticate.mockRestore();
  });

  it('responds 500 if a public route injects @Caller', async () => {
    expect((await send('/public', { 'X-Red': 'bob' })).status).toBe(500);
  });

  it('rejects a duplicate Authorization or Cookie header, on public routes too', async () => {
    for (const name of ['Authorization', 'Cookie']) {
      const lines = [
        'GET /nearest/method HTTP/1.1',
        'Host: a',
        'Connection: close',
        `${name}: a`,
        `${name}: b`,
      ];
      const response = await client(booted.origin).raw(...lines, '');
      expect(response).toMatch(/^HTTP\/1\.1 400 .*"duplicate_header"/s);
    }
  });

  it('rejects a request without exactly one Host, or whose target is not a path', () => {
    const build = (url: string, ...host: string[]) => {
      const rawHeaders = host.flatMap((each) => ['Host', each]);
      const raw = Object.assign(new IncomingMessage(new Socket()), { url, rawHeaders });
      if (host[0]) raw.headers.host = host[0];
      return authRequest({ raw, ip: '::1', protocol: 'http' }, new ServerResponse(raw));
    };
    expect(build('/me?a', 'a')).toMatchObject({ target: '/me?a', authority: 'a' });
    const withCode = (code: string) =>
      expect.objectContaining({ response: expect.objectContaining({ code }) });
    expect(() => build('/me')).toThrow(withCode('host_required'));
    expect(() => build('/me', 'a', 'b')).toThrow(withCode('duplicate_header'));
    expect(() => build('http://evil.test/me', 'a')).toThrow(withCode('invalid_target'));
  });

  it('throws if the application did not keep the raw bytes of a body', () => {
    const bytesOf = (headers: Record<string, string>, more: { body?: unknown; rawBody?: Buffer }) => {
      const raw = Object.assign(new IncomingMessage(new Socket()), {
        url: '/',
        headers: { host: 'a', ...headers },
        rawHeaders: ['Host', 'a'],
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

  it('responds 500 without details if the database fails during verification', async () => {
    const { status, headers, body } = await send('/bare', { 'X-Red': 'broken' });
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([500, 'internal_error', null]);
    expect(JSON.stringify(body)).not.toContain('database');
  });

  it('accepts a Passport strategy only if it succeeds with a user', async () => {
    for (const how of ['fail', 'pass', 'success'])
      expect(await rejection('/bare', { 'X-Odd': how })).toEqual([401, 'invalid_credentials', 'Odd']);
    for (const how of ['error', 'redirect']) expect((await send('/bare', { 'X-Odd': how })).status).toBe(500);
  });

  it('gives each concurrent request its own principal', async () => {
    const ids = ['alice', 'bob', 'carol'];
    const responses = await Promise.all(ids.map((id) => send('/bare', { 'X-Odd': `wait;${id}` })));
    expect(responses.map(({ body }) => body.id)).toEqual(ids);
  });

  it('sends the challenges without an exception filter too', async () => {
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

  it('keeps the strategies of two applications in one process apart', async () => {
    const other = await boot({ methods: [methodOf('red', 'X-Other', 'Other')], controllers: [Bare] });
    expect((await client(other.origin).get('/bare', { 'X-Red': 'bob' })).status).toBe(401);
    expect(await proofs('/bare', { 'X-Red': 'bob' })).toEqual([200, 'red']);
    await other.close();
  });

  it('a challenge escapes its parameters', () => {
    expect(String(new Challenge('Basic', { realm: 'a"\\\r\nSet-Cookie: x' }))).toBe(
      'Basic realm="a\\"\\\\Set-Cookie: x"',
    );
  });

  it('a challenge writes unquoted the parameters that its scheme forbids to quote, if they are tokens', () => {
    const digest = new Challenge('Digest', { realm: 'a' }, { tokens: ['stale', 'algorithm'] });
    expect(String(digest.with({ algorithm: 'SHA-256', stale: 'true' }))).toBe(
      'Digest realm="a", algorithm=SHA-256, stale=true',
    );
    expect(String(digest.with({ stale: 'true, realm=b' }))).toBe('Digest realm="a", stale="true, realm=b"');
  });

  it('a method can send several challenges and headers, new for each 401', async () => {
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
    const challengesFor = async (headers = {}) => {
      const response = await client(other.origin).get('/bare', headers);
      return [response.headers.get('www-authenticate'), response.headers.get('x-next-nonce')];
    };
    const both = (nonce: number, more = '') =>
      ['A', 'B'].map((algorithm) => `Nonce realm="test", nonce="${nonce}", algorithm="${algorithm}"${more}`);
    expect(await challengesFor()).toEqual([both(1).join(', '), '1']);
    expect(await challengesFor({ 'X-Nonce': 'x' })).toEqual([both(2, ', stale="true"').join(', '), '2']);
    await other.close();
  });

  describe('in production', () => {
    const PRODUCTION = {
      NODE_ENV: 'production',
      APP_SECRET: RANDOM_SECRET,
      PUBLIC_URL: 'https://api.atlas.test',
      TRUST_PROXY: '127.0.0.1',
    };
    const secretMethod = methodOf('red', 'X-Red', 'Red', { sendsSecret: true });
    const https = { 'X-Forwarded-Proto': 'https' };
    const start = (...others: AuthMethod[]) =>
      boot({
        methods: [secretMethod, ...others],
        controllers: [Bare],
        env: PRODUCTION,
        logTo: { write: () => {} },
      });

    it('rejects a method that sends its secret over plain HTTP, without verifying the credential', async () => {
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

    it('rejects plain HTTP on an @HttpsOnly route', async () => {
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

    it('does not challenge with such a method over plain HTTP if another one is possible', async () => {
      const production = await start(methodOf('blue', 'X-Blue', 'Blue'));
      const challengesFor = async (headers = {}) =>
        (await client(production.origin).get('/bare', headers)).headers.get('www-authenticate');
      expect(await challengesFor()).toBe('Blue realm="test"');
      expect(await challengesFor(https)).toBe('Red realm="test", Blue realm="test"');
      await production.close();
    });
  });

  it('does not start with a ceremony and no issuer', () => {
    const ceremony = { name: 'blue', module: OddModule as Type } as AuthMethod;
    expect(() => AuthenticationModule.forRoot([ceremony])).toThrow(
      'blue ends in an issuer, and none is installed',
    );
  });

  it('does not start if a route names a method that is not installed', async () => {
    @Controller()
    class Wrong {
      @Get('wrong') @Authenticate('blue') @SelfService() wrong() {
        return {};
      }
    }
    await expect(boot({ methods: [], controllers: [Wrong] })).rejects.toThrow('"blue"');
  });
});
