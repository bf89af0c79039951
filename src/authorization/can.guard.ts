import {
  ForbiddenException,
  Injectable,
  SetMetadata,
  createParamDecorator,
  type CanActivate,
  type ExecutionContext,
  type Type,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AUTHENTICATE, PUBLIC, SELF_SERVICE } from '../authentication/plan.js';
import { callerOf } from '../authentication/caller.js';
import { rawRequest } from '../authentication/request.js';
import { AbilityFactory } from './ability.factory.js';
import type { Action, AppAbility } from './rules.js';
import { assertCan } from './assert-can.js';

export const CAN = 'access:can';

/**
 * The route needs this action on this kind of subject. It is the coarse half: a rule with conditions passes here,
 * and the handler asks again about the row (see `assertCan`).
 */
export const Can = (action: Action, subject: Type<object>) => SetMetadata(CAN, { action, subject });

const abilities = new WeakMap<object, AppAbility>();

/** The caller's {@link AppAbility}, as a handler's parameter. */
export const Ability = createParamDecorator((_: unknown, context: ExecutionContext): AppAbility => {
  const ability = abilities.get(rawRequest(context.switchToHttp().getRequest()));
  if (!ability) throw new Error('@Ability() needs @Can() on the route.');
  return ability;
});

/** The second global guard. A route that is neither open, nor self-service, nor asks for an ability is closed. */
@Injectable()
export class CanGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly factory: AbilityFactory,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const find = <T>(key: string): T | undefined =>
      this.reflector.getAllAndOverride(key, [context.getHandler(), context.getClass()]);
    const asked = find<{ action: Action; subject: Type<object> }>(CAN);
    if (!asked && (find(AUTHENTICATE) === PUBLIC || find(SELF_SERVICE))) return true;
    if (!asked)
      throw new ForbiddenException({ code: 'forbidden', detail: 'This route has no authorization rule.' });
    const ability = this.factory.for(callerOf(context));
    assertCan(ability, asked.action, asked.subject);
    abilities.set(rawRequest(context.switchToHttp().getRequest()), ability);
    return true;
  }
}
