import type { EntityManager } from 'typeorm';
import { User } from './user.entity.js';

/**
 * Ends every session and token of an account, also those of a sign-in in progress.
 *
 * @param manager of the transaction that also writes the audit event
 * @returns the new sign-in generation, for a sign-in that continues
 * @throws EntityNotFoundError if the account was deleted
 */
export async function endAllSignIns(manager: EntityManager, userId: string): Promise<number> {
  await manager.increment(User, { id: userId }, 'epoch', 1);
  // The update has locked the row, so this reads its own value.
  const { epoch } = await manager.findOneOrFail(User, {
    select: { id: true, epoch: true },
    where: { id: userId },
  });
  return epoch;
}
