import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Authenticator } from './authenticator.js';
import { authRequestOf, findCaller, setCaller } from './caller.js';
import { PUBLIC } from './plan.js';
import type { MethodName } from './principal.js';

/** Closes every route that is not `@Public()`. Bound to handlers, never to paths, which can be written in many ways. */
@Injectable()
export class AuthenticateGuard implements CanActivate {
  constructor(private readonly authenticator: Authenticator) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = authRequestOf(context);
    this.authenticator.refuseOverHttp(context.getHandler(), request);
    const plan = this.authenticator.planOf(context.getClass(), context.getHandler());
    if (plan !== PUBLIC) setCaller(context, await this.authenticator.authenticate(request, plan));
    return true;
  }
}

/** Behind each method's own guard, the Nest idiom for one route: `@UseGuards(ApiKeyGuard)`. */
@Injectable()
export abstract class MethodGuard implements CanActivate {
  protected abstract readonly method: MethodName;

  constructor(private readonly authenticator: Authenticator) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // A one-time credential that the closed-by-default guard has just spent cannot be proved again.
    const proved = findCaller(context)?.proofs.some((proof) => proof.method === this.method);
    if (!proved)
      setCaller(context, await this.authenticator.authenticate(authRequestOf(context), this.method));
    return true;
  }
}
