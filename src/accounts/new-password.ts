import { UnprocessableEntityException } from '@nestjs/common';
import { passwordFaults, type PolicyContext } from '../passwords/password-policy.js';

/**
 * @param field of the body
 * @throws UnprocessableEntityException `invalid_body`
 */
export async function assertAcceptable(
  field: string,
  password: string,
  context: PolicyContext,
): Promise<void> {
  const faults = await passwordFaults(password, context);
  if (!faults.length) return;
  throw new UnprocessableEntityException({
    code: 'invalid_body',
    detail: 'The new password is too weak.',
    errors: faults.map((message) => ({ field, message })),
  });
}
