import type { EntityManager } from 'typeorm';
import { UserEmail } from '../users/user-email.entity.js';
import type { User } from '../users/user.entity.js';

export type EmailWithUser = UserEmail & { readonly user: User };

/** One statement, whether or not an account has the address: `findOne` with a relation would send a second one for a row. */
export async function findByAddress(
  manager: EntityManager,
  address: string,
): Promise<EmailWithUser | undefined> {
  const [email] = await manager.find(UserEmail, { where: { address }, relations: { user: true } });
  return email?.user && { ...email, user: email.user };
}

/** Whether the holder of the account has proved to receive mails at the address. */
export const isVerifiedUser = ({ verifiedAt, user }: EmailWithUser): boolean =>
  verifiedAt !== null && user.kind === 'user';
