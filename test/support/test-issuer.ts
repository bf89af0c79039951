import { Injectable, Module } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../src/authentication/challenge.js';
import type { Authentication, AuthMethod, AuthStrategy, Issuer } from '../../src/authentication/method.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Principal, Proof } from '../../src/authentication/principal.js';
import { User, principalOf } from '../../src/users/user.entity.js';

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    'test-issuer': true;
    'test-cookie-issuer': true;
  }
}

interface TestToken {
  readonly userId: string;
  readonly epoch: number;
  readonly principal: Principal;
}

/** The smallest possible issuer, for tests of ceremonies. Its tokens are kept in memory: `Authorization: TestToken <id>`. */
@Injectable()
export class TestIssuer implements Issuer {
  readonly tokens = new Map<string, TestToken>();
  /** Runs before a token is issued, so that a test can change something at that time. */
  before: () => Promise<void> = async () => {};

  async issue(principal: Principal, request: AuthRequest, epoch: number) {
    await this.before();
    const token = randomUUID();
    this.tokens.set(token, { userId: principal.id, epoch, principal });
    request.setHeader('X-Test-Token', token);
    return { test_token: token };
  }

  async stepUp(principal: Principal, fresh: Authentication, request: AuthRequest) {
    const { userId, epoch } = this.tokens.get(principal.proofs[0].credentialId ?? '')!;
    const proof = { ...principal.proofs[0], ...fresh };
    return this.issue({ ...principal, id: userId, proofs: [proof] }, request, epoch);
  }

  async end({ credentialId = '' }: Proof): Promise<void> {
    this.tokens.delete(credentialId);
  }
}

@Injectable()
class TestIssuerStrategy extends PassportStrategy(Strategy, 'test-issuer') implements AuthStrategy {
  readonly challenge = new Challenge('TestToken', { realm: 'test' });
  claims = (request: AuthRequest) => this.tokenIn(request) !== undefined;

  constructor(
    private readonly issuer: TestIssuer,
    private readonly dataSource: DataSource,
  ) {
    super();
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const id = this.tokenIn(request)!;
    const token = this.issuer.tokens.get(id);
    if (!token) throw new BadCredential('invalid_test_token', 'unknown token');
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: token.userId });
    if (user.epoch !== token.epoch) throw new BadCredential('invalid_test_token', 'all sign-ins were ended');
    const { at, amr } = token.principal.proofs[0];
    const proof = { method: 'test-issuer', credentialId: id, at, amr, bound: false, signIn: true } as const;
    return principalOf(
      user,
      proof,
      (reason) => new BadCredential('invalid_test_token', reason),
      token.principal.scopes,
    );
  }

  protected tokenIn(request: AuthRequest): string | undefined {
    return /^TestToken (.*)$/.exec(request.header('Authorization') ?? '')?.[1];
  }
}

/** Like {@link TestIssuer}, with the token in a cookie. */
@Injectable()
export class TestCookieIssuer extends TestIssuer {
  override async issue(principal: Principal, request: AuthRequest, epoch: number) {
    const { test_token } = await super.issue(principal, request, epoch);
    request.setHeader('Set-Cookie', `test-token=${test_token}; Path=/; HttpOnly`);
    return { test_token };
  }
}

@Injectable()
class TestCookieIssuerStrategy extends TestIssuerStrategy {
  readonly ambient = true;

  // oxlint-disable-next-line no-useless-constructor -- Nest reads the types of its parameters
  constructor(issuer: TestCookieIssuer, dataSource: DataSource) {
    super(issuer, dataSource);
  }

  protected override tokenIn(request: AuthRequest): string | undefined {
    return /(?:^|; )test-token=([^;]*)/.exec(request.header('Cookie') ?? '')?.[1];
  }
}

@Module({ providers: [TestIssuerStrategy, TestIssuer] })
class TestIssuerModule {}

export const testIssuer: AuthMethod = {
  name: 'test-issuer',
  module: TestIssuerModule,
  strategy: TestIssuerStrategy,
  issuer: TestIssuer,
  issued: z.looseObject({}),
  errors: ['401 invalid_test_token'],
  responseHeaders: ['X-Test-Token'],
};

@Module({ providers: [TestCookieIssuerStrategy, TestCookieIssuer] })
class TestCookieIssuerModule {}

export const testCookieIssuer: AuthMethod = {
  ...testIssuer,
  name: 'test-cookie-issuer',
  module: TestCookieIssuerModule,
  strategy: TestCookieIssuerStrategy,
  issuer: TestCookieIssuer,
};

/** The header that sends a token of {@link TestIssuer}. */
export const withTestToken = (token: string) => ({ Authorization: `TestToken ${token}` });
