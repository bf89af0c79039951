import { ForbiddenException, UnprocessableEntityException } from '@nestjs/common';
import { InsufficientCredential } from '../authentication/step-up.js';
import type { Action, AppAbility, Subject } from './app-ability.js';

/**
 * @throws ForbiddenException `forbidden`, with the reason of the prohibition if one applies
 * @throws InsufficientCredential if another credential of the same account would be enough
 */
export function assertCan(ability: AppAbility, action: Action, subject: Subject, field?: string): void {
  if (!ability.can(action, subject, field)) throw denied(ability, action, subject, field);
}

/**
 * Checks each written field. `ability.can('update', row)` is not enough: CASL returns true if one field may be updated.
 * @param changes the fields to write, with any values
 * @throws UnprocessableEntityException `field_not_permitted`, naming each field that may not be written
 * @throws InsufficientCredential if another credential of the same account may write all of them
 */
export function assertFieldsWritable(
  ability: AppAbility,
  action: Action,
  subject: object,
  changes: object,
): void {
  const rejected = Object.keys(changes).filter((field) => !ability.can(action, subject, field));
  if (!rejected.length) return;
  if (rejected.every((field) => ability.requirementFor(action, subject, field)))
    throw denied(ability, action, subject, rejected[0]);
  throw new UnprocessableEntityException({
    code: 'field_not_permitted',
    detail: 'You are not allowed to write these fields.',
    errors: rejected.map((field) => ({
      field,
      message: ability.relevantRuleFor(action, subject, field)?.reason ?? 'may not be written',
    })),
  });
}

/**
 * Checks the new values: each changed field against the rules of the action `set`.
 * @param after the row with its new values
 * @throws ForbiddenException, InsufficientCredential as {@link assertCan} does
 */
export function assertNewValues(ability: AppAbility, after: object, changes: object): void {
  for (const field of Object.keys(changes))
    if (!ability.can('set', after, field)) throw denied(ability, 'set', after, field);
}

function denied(ability: AppAbility, action: Action, subject: Subject, field?: string): ForbiddenException {
  const requirement = ability.requirementFor(action, subject, field);
  if (requirement && 'scopes' in requirement)
    return new InsufficientCredential("The credential's scopes do not allow this.", requirement);
  const detail = ability.relevantRuleFor(action, subject, field)?.reason ?? 'You are not allowed to do this.';
  if (requirement) return new InsufficientCredential(detail, requirement);
  return new ForbiddenException({ code: 'forbidden', detail });
}
