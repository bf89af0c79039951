import {
  BadRequestException,
  ForbiddenException,
  Inject,
  Injectable,
  Logger,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner, ModuleRef, Reflector } from '@nestjs/core';
import {
  BadCredential,
  InsufficientScope,
  InsufficientCredential,
  Unauthenticated,
  type Challenge,
} from './challenge.js';
import type { AuthMethod, AuthStrategy } from './method.js';
import {
  AUTHENTICATE,
  PUBLIC,
  HTTPS_ONLY_ROUTE,
  alternatives,
  type Alternatives,
  type Plan,
} from './plan.js';
import { mergePrincipals, type MethodName, type Principal } from './principal.js';
import type { AuthRequest } from './request.js';

export const AUTH_METHODS = Symbol('the installed methods');
export const HTTPS_ONLY = Symbol('whether what reveals itself is refused over plain HTTP');

/**
 * Asks the strategies. One rule: absent falls through, bad stops. A credential that is claimed and wrong is
 * refused with its own method's challenge, and no other method is tried.
 */
@Injectable()
export class Authenticator implements OnModuleInit {
  private readonly logger = new Logger(Authenticator.name);
  private readonly strategies = new Map<MethodName, AuthStrategy>();
  private readonly expanded = new Map<Plan, Alternatives>();
  /** What a route without a plan accepts: every method; those that come unasked last. */
  private anyMethod: Alternatives = [];

  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    @Inject(HTTPS_ONLY) private readonly httpsOnly: boolean,
    private readonly modules: ModuleRef,
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    for (const { name, strategy } of this.methods)
      if (strategy) this.strategies.set(name, this.modules.get(strategy, { strict: false }));
    const ambient = (name: MethodName) => Number(this.strategyOf(name).ambient ?? false);
    this.anyMethod = [...this.strategies.keys()]
      .sort((a, b) => ambient(a) - ambient(b))
      .map((name) => [name]);
    for (const plan of this.plans())
      this.alternativesOf(plan)
        .flat()
        .forEach((name) => this.strategyOf(name));
  }

  /** The plans of all routes, so that one which names a method that is not there stops the boot. */
  private plans(): Plan[] {
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      if (!metatype) return [];
      const prototype = metatype.prototype as Record<string, () => unknown>;
      const handlers = this.scanner.getAllMethodNames(prototype).map((name) => prototype[name]!);
      return handlers
        .map((handler) => this.planOf(metatype, handler))
        .filter((plan) => plan !== undefined && plan !== PUBLIC);
    });
  }

  /** What a route was given: the handler's own plan, or its controller's; undefined where neither says. */
  planOf(controller: Function, handler: Function): Plan | typeof PUBLIC | undefined {
    return this.reflector.getAllAndOverride(AUTHENTICATE, [handler, controller]);
  }

  /** The ways to satisfy a plan on this installation. */
  alternativesOf(plan: Plan | undefined): Alternatives {
    if (plan === undefined) return this.anyMethod;
    let ways = this.expanded.get(plan);
    if (!ways) this.expanded.set(plan, (ways = alternatives(plan)));
    return ways;
  }

  /** What a method asks for, without what is made anew for each 401. */
  challengeOf(name: MethodName): Challenge {
    return this.strategyOf(name).challenge;
  }

  private challengesOf(name: MethodName, params: Readonly<Record<string, string>> = {}): Challenge[] {
    const strategy = this.strategyOf(name);
    return (strategy.challenges?.() ?? [strategy.challenge]).map((challenge) => challenge.with(params));
  }

  /**
   * @throws Unauthenticated where no credential, not enough of them, or a wrong one was sent
   * @throws ForbiddenException `https_required` where what was sent should not have been sent over plain HTTP
   * @throws BadRequestException `ambiguous_credentials` where more was sent than any way takes
   */
  async authenticate(request: AuthRequest, plan?: Plan): Promise<Principal> {
    const way = this.choose(this.alternativesOf(plan), request);
    const revealing = way.find((name) => this.refusesOverHttp(name, request));
    if (revealing) throw httpsRequired();
    const principals: Principal[] = [];
    for (const name of way)
      try {
        principals.push(await runStrategy(this.strategyOf(name), request));
      } catch (error) {
        throw error instanceof BadCredential ? this.unauthenticated(name, error) : error;
      }
    const principal = mergePrincipals(...(principals as [Principal, ...Principal[]]));
    if (principal) return principal;
    throw new Unauthenticated(
      way.flatMap((name) => this.challengesOf(name)),
      'different_accounts',
      'The credentials sent together belong to different accounts.',
    );
  }

  /** The first way whose every method claims the request, and which leaves no explicit credential unused. */
  private choose(ways: Alternatives, request: AuthRequest): readonly MethodName[] {
    const claimed = new Set<MethodName>();
    const explicit: MethodName[] = [];
    for (const [name, strategy] of this.strategies)
      if (strategy.claims(request)) {
        claimed.add(name);
        if (!strategy.ambient) explicit.push(name);
      }
    const scheme = request
      .header('Authorization')
      ?.match(/^[^\s,]*/)?.[0]
      .toLowerCase();
    const speaks = (name: MethodName) => this.challengeOf(name).scheme.toLowerCase() === scheme;
    const stray = scheme !== undefined && !explicit.some(speaks);

    const fitting = ways.filter((way) => explicit.every((name) => way.includes(name)));
    const way = fitting.find((names) => names.every((name) => claimed.has(name)));
    if (way && !stray) return way;
    if (explicit.length + Number(stray) > 1 && (stray || !fitting.length))
      throw new BadRequestException({
        code: 'ambiguous_credentials',
        detail: 'The request contains more than one credential. Send one.',
      });
    if (stray)
      throw new Unauthenticated(
        this.distinct(ways.flat(), request, (name) =>
          this.challengesOf(name, speaks(name) ? { error: 'invalid_token' } : {}),
        ),
        'invalid_token',
        'No method of this route accepts this Authorization header.',
      );
    const missing = (fitting.length ? fitting : ways).flat().filter((name) => !claimed.has(name));
    throw new Unauthenticated(this.distinct(missing.length ? missing : ways.flat(), request));
  }

  /** @throws ForbiddenException `https_required` where the route is `@HttpsOnly()` and came over plain HTTP */
  refuseOverHttp(handler: Function, { secure }: AuthRequest): void {
    if (this.httpsOnly && !secure && this.reflector.get(HTTPS_ONLY_ROUTE, handler)) throw httpsRequired();
  }

  private refusesOverHttp(name: MethodName, { secure }: AuthRequest): boolean {
    return this.httpsOnly && !secure && Boolean(this.strategyOf(name).sendsSecret);
  }

  /** Each challenge once. Nobody is asked to reveal anything over plain HTTP, unless there is no other way in. */
  private distinct(
    names: readonly MethodName[],
    request: AuthRequest,
    challenges = (name: MethodName) => this.challengesOf(name),
  ) {
    const safe = names.filter((name) => !this.refusesOverHttp(name, request));
    const asked = [...new Set(safe.length ? safe : names)];
    return [...new Map(asked.flatMap(challenges).map((each) => [String(each), each])).values()];
  }

  /**
   * The 401 to a wrong credential.
   * @param name the method whose credential it is, or would have become
   */
  unauthenticated(name: MethodName, { code, reason, params, account }: BadCredential): Unauthenticated {
    this.logger.warn({ event: 'credential refused', method: name, code, reason });
    return new Unauthenticated(this.challengesOf(name, params), code, 'The credential is invalid.', {
      method: name,
      reason,
      ...(account && { account }),
    });
  }

  /**
   * What a caller is told whose credential was too little: where its method has words for it, what would be enough.
   * @param error whatever was thrown; all else comes back as it is
   */
  withRequirement(error: unknown, caller: Principal | undefined): unknown {
    if (!(error instanceof InsufficientCredential)) return error;
    const explaining = caller?.proofs.find(({ method }) => this.strategyOf(method).namesRequirement);
    if (!explaining) return error;
    const { need, detail } = error;
    const challenges = (params: Readonly<Record<string, string>>) =>
      this.challengesOf(explaining.method, params);
    if ('scopes' in need)
      return new InsufficientScope(challenges({ error: 'insufficient_scope', scope: need.scopes.join(' ') }));
    const code = 'insufficient_user_authentication';
    const asked = { error: code, acr_values: need.acr, max_age: String(need.maxAge) };
    return new Unauthenticated(challenges(asked), code, detail);
  }

  private strategyOf(name: MethodName): AuthStrategy {
    const strategy = this.strategies.get(name);
    if (!strategy)
      throw new Error(`A route names the method "${name}", which is not installed or proves no requests.`);
    return strategy;
  }
}

const httpsRequired = () =>
  new ForbiddenException({
    code: 'https_required',
    detail: 'This request carries a secret. Send it over HTTPS.',
  });

/**
 * Runs a Passport strategy on one request, on a copy that holds that request's outcome, as Passport does.
 *
 * @throws BadCredential where the strategy fails or passes: it had claimed the request, so it may not decline
 */
function runStrategy(strategy: AuthStrategy, request: AuthRequest): Promise<Principal> {
  return new Promise((resolve, reject) => {
    const refuse = (reason: unknown) =>
      reject(new BadCredential('invalid_credentials', `the strategy refused: ${String(reason)}`));
    const run: AuthStrategy = Object.assign(Object.create(strategy) as AuthStrategy, {
      success: (principal: Principal | undefined) =>
        principal ? resolve(principal) : refuse('it succeeded with nobody'),
      fail: refuse,
      pass: () => refuse('it passed'),
      redirect: () => reject(new Error('A strategy may not redirect. Write a browser login as a ceremony.')),
      error: reject,
    });
    run.authenticate(request as never, {});
  });
}
