import type { EntityManager } from 'typeorm';
import { User } from './user.entity.js';

/**
 * Ends every session and every token of an account at once: those that stand, and those that a sign-in under way is
 * about to make.
 *
 * @param manager of the transaction that also writes the reason into the audit log
 * @returns the account's new epoch, for what is to outlive this
 * @throws EntityNotFoundError where the account is gone
 */
export async function endAllSignIns(manager: EntityManager, userId: string): Promise<number> {
  await manager.increment(User, { id: userId }, 'epoch', 1);
  // The row is this transaction's own from here to the commit: nobody has counted on in between.
  const { epoch } = await manager.findOneOrFail(User, {
    select: { id: true, epoch: true },
    where: { id: userId },
  });
  return epoch;
}
