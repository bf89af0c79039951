import { ForbiddenException, UnprocessableEntityException } from '@nestjs/common';
import { InsufficientCredential } from '../authentication/challenge.js';
import { remedyFor } from './remedy.js';
import type { Action, AppAbility, Subject } from './rules.js';

/** @throws ForbiddenException with the rule's own reason, where it gives one; {@link InsufficientCredential} where there is a remedy */
export function assertCan(ability: AppAbility, action: Action, subject: Subject): void {
  if (!ability.can(action, subject)) throw forbidden(ability, action, subject);
}

/**
 * Asks about each field that is written: to CASL, "may update" means that one field at least may be updated.
 * @throws UnprocessableEntityException `field_not_permitted`, naming each field that may not be written
 */
export function assertFieldsWritable(
  ability: AppAbility,
  action: Action,
  subject: object,
  changes: object,
): void {
  const refused = Object.keys(changes).filter((field) => !ability.can(action, subject, field));
  if (refused.length)
    throw new UnprocessableEntityException({
      code: 'field_not_permitted',
      detail: 'You are not allowed to write these fields.',
      errors: refused.map((field) => ({
        field,
        message: ability.relevantRuleFor(action, subject, field)?.reason ?? 'may not be written',
      })),
    });
}

/**
 * Asks whether the subject may become what it would be after the changes.
 * @throws ForbiddenException with the rule's reason
 */
export function assertNewValues(ability: AppAbility, after: object, changes: object): void {
  for (const field of Object.keys(changes))
    if (!ability.can('set', after, field)) throw forbidden(ability, 'set', after, field);
}

function forbidden(
  ability: AppAbility,
  action: Action,
  subject: Subject,
  field?: string,
): ForbiddenException {
  const detail = ability.relevantRuleFor(action, subject, field)?.reason ?? 'You are not allowed to do this.';
  const need = remedyFor(ability, action, subject, field);
  return need
    ? new InsufficientCredential(detail, need)
    : new ForbiddenException({ code: 'forbidden', detail });
}
