import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Authenticator, PUBLIC, authRequestOf, findCaller, type Principal } from '../auth/index.js';
import { HealthController } from './health.controller.js';
import { Failures } from './rate-limit.failures.js';
import { RateLimits, addressOf } from './rate-limit.js';

/** The first global guard: how much one address may ask, before anything is looked up for it. */
@Injectable()
export class AddressLimit implements CanActivate {
  constructor(
    private readonly limits: RateLimits,
    private readonly failures: Failures,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // An orchestrator that is refused would restart a process for being busy.
    if (context.getClass() === HealthController) return true;
    const { ip, method } = authRequestOf(context);
    const address = addressOf(ip);
    if (!(method === 'GET' && this.isPublic(context))) this.failures.refuseIfFull(address);
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
export class CredentialLimit implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const caller = findCaller(context);
    if (caller)
      for (const proof of caller.proofs) await this.limits.count('credential', keyOf(proof, caller));
    return true;
  }
}

const keyOf = ({ method, credentialId }: Principal['proofs'][number], { id }: Principal) =>
  `${method}:${credentialId ?? id}`;
