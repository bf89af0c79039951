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

  canActivate(context: ExecutionContext): true | Promise<true> {
    // An orchestrator would restart a process whose health check is rejected.
    if (context.getClass() === HealthController) return true;
    const { ip, method } = authRequestOf(context);
    const address = networkOf(ip);
    // A public GET checks no credential. A public POST may be a login.
    const checksNoCredential = method === 'GET' && this.authenticator.planOf(context) === PUBLIC;
    if (!checksNoCredential) this.failedAttempts.rejectIfOverLimit(address);
    return this.limits.consume('address', address);
  }
}

/** Runs after authentication: limits the requests of one credential from all addresses together. */
@Injectable()
export class CredentialLimitGuard implements CanActivate {
  constructor(private readonly limits: RateLimitsService) {}

  canActivate(context: ExecutionContext): true | Promise<true> {
    const caller = findCaller(context);
    return (
      !caller || this.limits.consume('credential', ...caller.proofs.map((proof) => keyOf(proof, caller)))
    );
  }
}

const keyOf = ({ method, credentialId }: Principal['proofs'][number], { id }: Principal) =>
  `${method}:${credentialId ?? id}`;
