import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Authenticator } from './authenticator.js';
import { PUBLIC } from './plan.js';
import type { MethodName } from './principal.js';
import { authRequestOf, findCaller, setCaller } from './request.js';

/** Closes every route without `@Public()`. It reads metadata of handlers, never paths, which have many spellings. */
@Injectable()
export class AuthenticateGuard implements CanActivate {
  constructor(private readonly authenticator: Authenticator) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = authRequestOf(context);
    this.authenticator.assertHttps(context.getHandler(), request);
    const plan = this.authenticator.planOf(context);
    if (plan === PUBLIC) return true;
    return this.authenticator.authenticate(request, plan).then((principal) => {
      setCaller(context, principal);
      return true;
    });
  }
}

/** The base of each method's own guard for single routes: `@UseGuards(ApiKeyGuard)`. */
@Injectable()
export abstract class MethodGuard implements CanActivate {
  protected abstract readonly method: MethodName;

  constructor(private readonly authenticator: Authenticator) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // A one-time credential that the global guard has used up cannot be proved again.
    const isProved = findCaller(context)?.proofs.some(({ method }) => method === this.method);
    if (isProved) return true;
    setCaller(context, await this.authenticator.authenticate(authRequestOf(context), [[this.method]]));
    return true;
  }
}
