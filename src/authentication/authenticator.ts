import {
  BadRequestException,
  ForbiddenException,
  Inject,
  Injectable,
  Logger,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner, ModuleRef, Reflector } from '@nestjs/core';
import { BadCredential, Unauthenticated, type Challenge } from './challenge.js';
import type { AuthMethod, AuthStrategy } from './method.js';
import {
  AUTHENTICATE,
  HTTPS_ONLY_ROUTE,
  PUBLIC,
  alternatives,
  perRoute,
  type Alternatives,
  type Plan,
  type RouteReader,
  type Targets,
} from './plan.js';
import { mergePrincipals, type MethodName, type Principal } from './principal.js';
import type { AuthRequest } from './request.js';

export const AUTH_METHODS = Symbol('the installed methods');
export const HTTPS_ONLY = Symbol('whether secrets over plain HTTP are rejected');

/**
 * Runs the strategies. An absent credential falls through to the next method. An invalid one stops: the response
 * carries its method's challenge, and no other method is tried.
 */
@Injectable()
export class Authenticator implements OnModuleInit {
  private readonly logger = new Logger(Authenticator.name);
  private readonly strategies = new Map<MethodName, AuthStrategy>();
  /** The plan of a route without one: every method, the ambient ones last. */
  private anyMethod: Alternatives = [];
  /** The combinations of methods that satisfy the plan of a route on this installation. */
  readonly planOf: RouteReader<Alternatives | typeof PUBLIC>;

  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    @Inject(HTTPS_ONLY) private readonly httpsOnly: boolean,
    private readonly modules: ModuleRef,
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
  ) {
    this.planOf = perRoute((targets) => {
      const plan = this.declaredPlan(targets);
      if (plan === PUBLIC) return plan;
      return plan === undefined ? this.anyMethod : alternatives(plan);
    });
  }

  /** @throws Error if a route names a method that is not installed */
  onModuleInit(): void {
    for (const { name, strategy } of this.methods)
      if (strategy) this.strategies.set(name, this.modules.get(strategy, { strict: false }));
    const isAmbient = (name: MethodName) => Number(this.strategyOf(name).ambient ?? false);
    this.anyMethod = [...this.strategies.keys()]
      .sort((a, b) => isAmbient(a) - isAmbient(b))
      .map((name) => [name]);
    for (const name of this.routePlans().flatMap(alternatives).flat()) this.strategyOf(name);
  }

  private routePlans(): Plan[] {
    const scanner = new MetadataScanner();
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      if (!metatype) return [];
      const prototype = metatype.prototype as Record<string, () => unknown>;
      const handlers = scanner.getAllMethodNames(prototype).map((name) => prototype[name]!);
      const plans = handlers.map((handler) => this.declaredPlan([handler, metatype]));
      return plans.filter((plan) => plan !== undefined && plan !== PUBLIC);
    });
  }

  /** The plan of a handler, or else of its controller. */
  private declaredPlan(targets: Targets): Plan | typeof PUBLIC | undefined {
    return this.reflector.getAllAndOverride(AUTHENTICATE, targets);
  }

  /** @throws Error if the method is not installed or has no strategy */
  strategyOf(name: MethodName): AuthStrategy {
    const strategy = this.strategies.get(name);
    if (!strategy) throw new Error(`A route names the method "${name}", which is not installed.`);
    return strategy;
  }

  /** The challenge of a method, without the parts that are new in every response. */
  challengeOf(name: MethodName): Challenge {
    return this.strategyOf(name).challenge;
  }

  /** The challenges of a method's 401, with parameters such as `error`. */
  challengesOf(name: MethodName, params: Readonly<Record<string, string>> = {}): Challenge[] {
    const strategy = this.strategyOf(name);
    return (strategy.challenges?.() ?? [strategy.challenge]).map((challenge) => challenge.with(params));
  }

  /**
   * @throws Unauthenticated if a credential is absent, missing in a combination, or invalid
   * @throws ForbiddenException `https_required` if a secret came over plain HTTP
   * @throws BadRequestException `ambiguous_credentials` if there are more credentials than the route accepts
   */
  authenticate(request: AuthRequest, plan: Alternatives): Promise<Principal> {
    const names = this.choose(plan, request);
    if (names.some((name) => this.isInsecure(name, request))) throw httpsRequired();
    const [name, ...others] = names;
    return name && !others.length ? this.run(name, request) : this.runAll(names, request);
  }

  /** Runs the methods of a combination, one after the other. */
  private async runAll(names: readonly MethodName[], request: AuthRequest): Promise<Principal> {
    const principals: Principal[] = [];
    for (const name of names) principals.push(await this.run(name, request));
    const principal = mergePrincipals(...(principals as [Principal, ...Principal[]]));
    if (principal) return principal;
    throw new Unauthenticated(
      names.flatMap((name) => this.challengesOf(name)),
      'different_accounts',
      'The credentials sent together belong to different accounts.',
    );
  }

  private run(name: MethodName, request: AuthRequest): Promise<Principal> {
    return runStrategy(this.strategyOf(name), request, (error) =>
      error instanceof BadCredential ? this.unauthenticated(name, error) : (error as Error),
    );
  }

  /** The first combination whose methods all claim the request and that leaves no explicit credential unused. */
  private choose(plan: Alternatives, request: AuthRequest): readonly MethodName[] {
    const claimed: MethodName[] = [];
    for (const [name, strategy] of this.strategies) if (strategy.claims(request)) claimed.push(name);
    const explicit = claimed.filter((name) => !this.strategyOf(name).ambient);
    const isClaimed = (name: MethodName) => claimed.includes(name);
    const authorization = request.header('Authorization');
    const scheme = authorization && /^[^\s,]*/.exec(authorization)?.[0].toLowerCase();
    const hasScheme = (name: MethodName) => this.challengeOf(name).scheme.toLowerCase() === scheme;
    const unclaimedHeader = authorization !== undefined && !explicit.some(hasScheme);

    const fitting = plan.filter((names) => explicit.every((name) => names.includes(name)));
    const complete = fitting.find((names) => names.every(isClaimed));
    if (complete && !unclaimedHeader) return complete;
    if (explicit.length + Number(unclaimedHeader) > 1 && (unclaimedHeader || !fitting.length))
      throw new BadRequestException({
        code: 'ambiguous_credentials',
        detail: 'The request contains more than one credential. Send one.',
      });
    if (unclaimedHeader)
      throw new Unauthenticated(
        this.safeChallenges(plan.flat(), request, (name) =>
          this.challengesOf(name, hasScheme(name) ? { error: 'invalid_token' } : {}),
        ),
        'invalid_token',
        'No method of this route accepts this Authorization header.',
      );
    const incomplete = fitting.length ? fitting : plan;
    const missing = incomplete.flat().filter((name) => !isClaimed(name));
    throw new Unauthenticated(
      this.safeChallenges(missing.length ? missing : plan.flat(), request),
      'unauthenticated',
      alsoRequired(incomplete, isClaimed),
    );
  }

  /** @throws ForbiddenException `https_required` for an `@HttpsOnly()` route over plain HTTP */
  assertHttps(handler: Function, { secure }: AuthRequest): void {
    if (this.httpsOnly && !secure && this.reflector.get(HTTPS_ONLY_ROUTE, handler)) throw httpsRequired();
  }

  private isInsecure(name: MethodName, { secure }: AuthRequest): boolean {
    return this.httpsOnly && !secure && Boolean(this.strategyOf(name).sendsSecret);
  }

  /** Each challenge once. Over plain HTTP, methods that send a secret are left out if there are others. */
  private safeChallenges(
    names: readonly MethodName[],
    request: AuthRequest,
    challengesOf = (name: MethodName) => this.challengesOf(name),
  ): Challenge[] {
    const safe = names.filter((name) => !this.isInsecure(name, request));
    const challenges = [...new Set(safe.length ? safe : names)].flatMap(challengesOf);
    return [...new Map(challenges.map((challenge) => [String(challenge), challenge])).values()];
  }

  /**
   * The 401 for an invalid credential; its reason goes to the log only.
   * @param name the method of the credential
   */
  unauthenticated(name: MethodName, { code, reason, params, account }: BadCredential): Unauthenticated {
    this.logger.warn({ event: 'credential rejected', method: name, code, reason });
    return new Unauthenticated(this.challengesOf(name, params), code, 'The credential is invalid.', {
      method: name,
      reason,
      ...(account && { account }),
    });
  }
}

/** Names the methods that are missing, for a request that has a part of a combination. */
function alsoRequired(plan: Alternatives, isClaimed: (name: MethodName) => boolean): string | undefined {
  const missing = plan
    .filter((names) => names.some(isClaimed))
    .map((names) => names.filter((name) => !isClaimed(name)).join(' and '));
  return missing.length ? `This route also requires: ${[...new Set(missing)].join(', or ')}.` : undefined;
}

const httpsRequired = () =>
  new ForbiddenException({
    code: 'https_required',
    detail: 'This request carries a secret. Send it over HTTPS.',
  });

/**
 * Runs a Passport strategy on a copy that holds the outcome of this request, as Passport does. A strategy that fails or
 * passes has found a bad credential: it claimed the request, so it may not decline.
 * @param exceptionOf the exception for an error of the strategy
 */
function runStrategy(
  strategy: AuthStrategy,
  request: AuthRequest,
  exceptionOf: (error: unknown) => Error,
): Promise<Principal> {
  return new Promise((resolve, reject) => {
    const error = (thrown: unknown) => reject(exceptionOf(thrown));
    const fail = (reason: unknown) =>
      error(new BadCredential('invalid_credentials', `the strategy failed: ${String(reason)}`));
    const run: AuthStrategy = Object.assign(Object.create(strategy) as AuthStrategy, {
      success: (principal: Principal | undefined) =>
        principal ? resolve(principal) : fail('it returned no principal'),
      fail,
      pass: () => fail('it called pass()'),
      redirect: () => error(new Error('A strategy may not redirect. Write a browser login as a ceremony.')),
      error,
    });
    try {
      run.authenticate(request as never, {});
    } catch (thrown) {
      error(thrown);
    }
  });
}
