import {
  ForbiddenException,
  Injectable,
  SetMetadata,
  applyDecorators,
  createParamDecorator,
  type CanActivate,
  type ExecutionContext,
  type Type,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RouteErrors } from '../authentication/describe.js';
import { callerOf, requestOf } from '../authentication/request.js';
import { AUTHENTICATE, PUBLIC, SELF_SERVICE, perRoute, type RouteReader } from '../authentication/plan.js';
import { AbilityFactory } from './ability.factory.js';
import type { Action, AppAbility } from './app-ability.js';
import { assertCan } from './assert-can.js';

export const CAN = 'authorization:can';

interface Permission {
  readonly action: Action;
  readonly subject: Type<object>;
}

/**
 * The route requires this action on this entity. CASL passes a rule with conditions here, because there is no row yet:
 * the handler checks the row with `assertCan` or `accessibleBy`.
 */
export const Can = (action: Action, subject: Type<object>) =>
  applyDecorators(
    SetMetadata(CAN, { action, subject } satisfies Permission),
    RouteErrors('401 insufficient_user_authentication', '403 forbidden', '403 insufficient_scope'),
  );

/** The adapter's request. The guard stores the ability in it, as Passport stores `request.user`. */
interface AuthorizedRequest {
  ability?: AppAbility;
}

/** The caller's {@link AppAbility}, as a handler's parameter. */
export const Ability = createParamDecorator((_: unknown, context: ExecutionContext): AppAbility => {
  const { ability } = requestOf<AuthorizedRequest>(context);
  if (!ability) throw new Error('@Ability() needs @Can() on the route.');
  return ability;
});

/** The last global guard. It rejects a route with none of `@Can()`, `@Public()` and `@SelfService()`. */
@Injectable()
export class CanGuard implements CanActivate {
  private readonly requirementOf: RouteReader<Permission | 'none' | undefined>;

  constructor(
    reflector: Reflector,
    private readonly abilities: AbilityFactory,
  ) {
    this.requirementOf = perRoute((targets) => {
      const metadata = <T>(key: string) => reflector.getAllAndOverride<T | undefined>(key, targets);
      const isWithoutRule = metadata(AUTHENTICATE) === PUBLIC || metadata(SELF_SERVICE);
      return metadata<Permission>(CAN) ?? (isWithoutRule ? 'none' : undefined);
    });
  }

  canActivate(context: ExecutionContext): boolean {
    const required = this.requirementOf(context);
    if (required === 'none') return true;
    if (!required)
      throw new ForbiddenException({ code: 'forbidden', detail: 'This route has no authorization rule.' });
    const ability = this.abilities.for(callerOf(context));
    assertCan(ability, required.action, required.subject);
    requestOf<AuthorizedRequest>(context).ability = ability;
    return true;
  }
}
