import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Authenticator } from '../authentication/authenticator.js';
import { PUBLIC } from '../authentication/plan.js';
import { authRequestOf, findCaller } from '../authentication/caller.js';
import type { Principal } from '../authentication/principal.js';
import { HealthController } from '../http/health.controller.js';
import { FailedAttempts } from './failed-attempts.service.js';
import { cachedNetworkOf, RateLimitsService } from './rate-limits.service.js';

/** The first global guard: how much one address may ask, before anything is looked up for it. */
@Injectable()
export class AddressLimitGuard implements CanActivate {
  constructor(
    private readonly limits: RateLimitsService,
    private readonly failures: FailedAttempts,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // An orchestrator that is refused would restart a process for being busy.
    if (context.getClass() === HealthController) return true;
    const { ip, method } = authRequestOf(context);
    const address = cachedNetworkOf(ip);
    if (!(method === 'GET' && this.isPublic(context))) this.failures.rejectIfOverLimit(address);
    await this.limits.count('address', address);
    return true;
  }

  /** Where no credential is looked at, wrong ones do not matter. A public POST is a ceremony, where they do. */
  private isPublic(context: ExecutionContext): boolean {
    return this.authenticator.planOf(context.getClass(), context.getHandler()) === PUBLIC;
  }
}

/** Behind the guard that knows who is calling: how much one credential may ask, from however many addresses. */
@Injectable()
export class CredentialLimitGuard implements CanActivate {
  constructor(private readonly limits: RateLimitsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const caller = findCaller(context);
    if (caller)
      for (const proof of caller.proofs) await this.limits.count('credential', keyOf(proof, caller));
    return true;
  }
}

const keyOf = ({ method, credentialId }: Principal['proofs'][number], { id }: Principal) =>
  `${method}:${credentialId ?? id}`;
