import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Authenticator } from '../authentication/authenticator.js';
import { PUBLIC } from '../authentication/plan.js';
import { authRequestOf, findCaller } from '../authentication/request.js';
import type { Principal } from '../authentication/principal.js';
import { HealthController } from '../http/health.controller.js';
import { FailedAttempts } from './failed-attempts.service.js';
import { networkOf } from '../config/network.js';
import { RateLimitsService } from './rate-limits.service.js';

/** The first global guard: limits the requests of one address before anything is looked up. */
@Injectable()
export class AddressLimitGuard implements CanActivate {
  constructor(
    private readonly limits: RateLimitsService,
    private readonly failedAttempts: FailedAttempts,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // An orchestrator would restart a process whose health check is rejected.
    if (context.getClass() === HealthController) return true;
    const { ip, method } = authRequestOf(context);
    const address = networkOf(ip);
    if (!(method === 'GET' && this.isPublic(context))) this.failedAttempts.rejectIfOverLimit(address);
    await this.limits.consume('address', address);
    return true;
  }

  /** A public GET checks no credential. A public POST may be a login. */
  private isPublic(context: ExecutionContext): boolean {
    return this.authenticator.planOf(context.getClass(), context.getHandler()) === PUBLIC;
  }
}

/** Runs after authentication: limits the requests of one credential from all addresses together. */
@Injectable()
export class CredentialLimitGuard implements CanActivate {
  constructor(private readonly limits: RateLimitsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const caller = findCaller(context);
    if (caller)
      for (const proof of caller.proofs) await this.limits.consume('credential', keyOf(proof, caller));
    return true;
  }
}

const keyOf = ({ method, credentialId }: Principal['proofs'][number], { id }: Principal) =>
  `${method}:${credentialId ?? id}`;
