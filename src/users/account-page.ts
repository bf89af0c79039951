import type { KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../authentication/principal.js';
import type { AppAbility } from '../authorization/app-ability.js';
import { readCursor, writeCursor } from '../authorization/sql/cursor.js';
import { accessiblePage } from '../authorization/sql/keyset-pages.js';
import { User } from './user.entity.js';

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface AccountPage {
  readonly accounts: User[];
  readonly nextCursor: string | null;
}

/**
 * A page of the accounts of one kind that the caller may read, by username.
 * @param key of the list, so that it accepts no cursor of another one
 */
export async function accountPage(
  manager: EntityManager,
  key: KeyObject,
  kind: User['kind'],
  caller: Principal,
  ability: AppAbility,
  { limit, cursor }: PageQuery,
): Promise<AccountPage> {
  const context = JSON.stringify([caller.tenantId, caller.id]);
  const { rows, next } = await accessiblePage(manager, User, ability, {
    action: 'read',
    where: { kind },
    sort: { property: 'username', direction: 'ASC' },
    after: cursor === undefined ? undefined : readCursor(key, cursor, context),
    limit,
  });
  return { accounts: rows, nextCursor: next ? writeCursor(key, next, context) : null };
}
