import { ConflictException, NotFoundException } from '@nestjs/common';
import {
  In,
  IsNull,
  type DataSource,
  type EntityManager,
  type FindOptionsOrder,
  type FindOptionsWhere,
  type QueryDeepPartialEntity,
  type Repository,
} from 'typeorm';
import type { Account, AccountAdministration, AuditEntry, AuditPort } from '../authentication/ports.js';
import {
  ROTATION,
  type Principal,
  assertMayManageCredentials,
  isOwnCredential,
  limitedCredential,
  scopesInclude,
} from '../authentication/principal.js';
import type { Credential, CredentialKind, SecretColumns } from './credential.js';
import { User, lockAccount } from './user.entity.js';

/** Keeps a stolen credential from filling the table. */
const MAX_CREDENTIALS_PER_USER = 100;

/**
 * Issues, lists, rotates and revokes credentials of one kind. Each change and its audit event are one transaction.
 *
 * A sign-in without limits manages all credentials of its account, and those of the machine accounts that it administers.
 * Any other credential manages only itself and the credentials that it created.
 */
export class CredentialsService<T extends Credential> {
  private readonly rows: Repository<T>;

  constructor(
    dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly administration: AccountAdministration,
    entity: new () => T,
    private readonly options: CredentialKind<T>,
  ) {
    this.rows = dataSource.getRepository(entity);
  }

  /**
   * The account that a new credential is for.
   * @param accountId absent: the caller's own account
   * @throws NotFoundException if the caller does not administer the account
   * @throws ForbiddenException `limited_credential`
   */
  async accountOf(caller: Principal, accountId = caller.id): Promise<Account> {
    if (accountId === caller.id) return caller;
    assertMayManageCredentials(caller);
    const account = await this.administeredAccount(caller, accountId);
    if (!account) throw notFound('You administer no such account.');
    return account;
  }

  /** The scopes of a new credential: the requested ones, or else the caller's own. */
  scopesFor(caller: Principal, requested: readonly string[] | undefined): string[] | null {
    const scopes = requested ?? caller.scopes;
    return scopes ? [...scopes] : null;
  }

  /** The credential of this kind that the caller sent, the parent of what it creates. */
  async parentOf({ proofs }: Principal): Promise<T | null> {
    const { method, isWithin } = this.options;
    const id = isWithin && proofs.find((proof) => proof.method === method)?.credentialId;
    return id === undefined ? null : this.rows.findOneBy({ id } as FindOptionsWhere<T>);
  }

  /**
   * @param check rejects the new row, after all concurrent changes of the account's credentials
   * @throws ForbiddenException `limited_credential`
   * @throws ConflictException `too_many_credentials`
   */
  async add(caller: Principal, row: T, check?: (manager: EntityManager) => Promise<void>): Promise<T> {
    await this.accountOf(caller, row.userId);
    if (!(await this.isChildOfCaller(caller, row))) assertMayManageCredentials(caller);
    await this.rows.manager.transaction(async (manager) => {
      await this.lock(manager, caller, row.userId);
      if (row.parentId && !(await manager.existsBy(this.rows.target, this.active({ id: row.parentId }))))
        throw limitedCredential();
      const count = await manager.countBy(this.rows.target, this.active({ userId: row.userId }));
      if (count >= MAX_CREDENTIALS_PER_USER)
        throw new ConflictException({
          code: 'too_many_credentials',
          detail: `An account has at most ${MAX_CREDENTIALS_PER_USER} of these. Revoke one first.`,
        });
      await check?.(manager);
      await manager.insert(this.rows.target, row as QueryDeepPartialEntity<T>);
      await this.audit.append(manager, this.entry('authn_token_created', caller, row));
    });
    return row;
  }

  /**
   * An account's credentials that are not revoked, newest first.
   * @param accountId absent: the caller's own account
   * @throws ForbiddenException `limited_credential`
   * @throws NotFoundException if the caller does not administer the account
   */
  async list(caller: Principal, accountId?: string): Promise<T[]> {
    assertMayManageCredentials(caller);
    const { id: userId } = await this.accountOf(caller, accountId);
    const order = { createdAt: 'DESC', id: 'ASC' } as FindOptionsOrder<T>;
    return this.rows.find({ where: this.active({ userId }), order });
  }

  /**
   * A credential that the caller may change.
   * @throws NotFoundException for another account's credential, exactly as for one that does not exist
   * @throws ForbiddenException `limited_credential`
   */
  async find(caller: Principal, id: string): Promise<T> {
    const row = await this.rows.findOneBy(this.active({ id }));
    const isVisible =
      row?.userId === caller.id || (row && (await this.administeredAccount(caller, row.userId)));
    if (!row || !isVisible) throw notFound(`You have no such ${this.options.kind}.`);
    if (!(await this.isOwnOrDescendant(caller, row))) assertMayManageCredentials(caller);
    return row;
  }

  /**
   * Stores a new secret. The one before stays valid for `overlapSeconds`; the one before that stops at once. Without an
   * overlap, the credentials that it created end too, because a thief may have created them.
   * @throws ConflictException `concurrent_rotation` for all but one of several rotations at the same time
   */
  async rotateSecret(
    caller: Principal,
    id: string,
    { current, previous }: SecretColumns<T>,
    secret: string,
    overlapSeconds: number,
  ): Promise<T> {
    const row = await this.find(caller, id);
    const previousUntil = new Date(Date.now() + overlapSeconds * 1000);
    const changes: object = { [current]: secret, [previous]: row[current], previousUntil };
    await this.rows.manager.transaction(async (manager) => {
      await this.lock(manager, caller, row.userId);
      const { affected } = await manager.update(
        this.rows.target,
        this.active({ id, [current]: row[current] }),
        changes,
      );
      if (!affected)
        throw new ConflictException({
          code: 'concurrent_rotation',
          detail: 'The credential was changed by another request. Read it again.',
        });
      if (overlapSeconds === 0) await this.revokeAll(caller, manager, await this.childrenOf(manager, [row]));
      await this.audit.append(manager, this.entry('authn_token_created', caller, row, { rotated: true }));
    });
    return { ...row, ...changes };
  }

  /** Ends a credential and all that were created by it, from the next request on. */
  async revoke(caller: Principal, id: string): Promise<void> {
    const row = await this.find(caller, id);
    await this.rows.manager.transaction(async (manager) => {
      await this.lock(manager, caller, row.userId);
      await this.revokeAll(caller, manager, [row]);
    });
  }

  /** Makes concurrent changes of an account's credentials wait, then rejects a caller whose secret was replaced meanwhile. */
  private async lock(manager: EntityManager, { proofs }: Principal, userId: string): Promise<void> {
    await lockAccount(manager, userId);
    for (const { method, credentialId: id, [ROTATION]: rotation } of proofs) {
      if (method !== this.options.method || rotation === undefined) continue;
      const row = await manager.findOneBy(this.rows.target, this.active({ id }));
      if (!row || (row.previousUntil?.getTime() ?? null) !== rotation) throw limitedCredential();
    }
  }

  private async administeredAccount(caller: Principal, id: string): Promise<Account | null> {
    const account = await this.rows.manager.findOneBy(User, { id });
    return account && this.administration.mayManage(caller, account) ? account : null;
  }

  private async isChildOfCaller(caller: Principal, row: T): Promise<boolean> {
    const parent = await this.parentOf(caller);
    return (
      parent !== null &&
      row.parentId === parent.id &&
      row.userId === parent.userId &&
      isOwnCredential(caller, this.options.method, parent.id) &&
      scopesInclude(caller.scopes, row.scopes ?? undefined) &&
      Boolean(this.options.isWithin?.(row, parent))
    );
  }

  private async isOwnOrDescendant(caller: Principal, row: T): Promise<boolean> {
    if (isOwnCredential(caller, this.options.method, row.id)) return true;
    if (!row.parentId) return false;
    const parent = await this.rows.findOneBy({ id: row.parentId } as FindOptionsWhere<T>);
    return parent !== null && this.isOwnOrDescendant(caller, parent);
  }

  /** Revokes active credentials and all that were created by them. */
  private async revokeAll(caller: Principal, manager: EntityManager, rows: readonly T[]): Promise<void> {
    const changes = { revokedAt: new Date() } as unknown as QueryDeepPartialEntity<T>;
    const entries: AuditEntry[] = [];
    for (let level = rows; level.length; level = await this.childrenOf(manager, level))
      for (const row of level) {
        const { affected } = await manager.update(this.rows.target, this.active({ id: row.id }), changes);
        if (affected) entries.push(this.entry('authn_token_revoked', caller, row));
      }
    await this.audit.append(manager, ...entries);
  }

  private async childrenOf(manager: EntityManager, parents: readonly T[]): Promise<T[]> {
    if (!this.options.isWithin) return [];
    const where = { parentId: In(parents.map(({ id }) => id)) } as unknown as FindOptionsWhere<T>;
    return manager.find(this.rows.target, { where, order: { id: 'ASC' } as FindOptionsOrder<T> });
  }

  private active(where: object): FindOptionsWhere<T> {
    return { ...where, revokedAt: IsNull() } as FindOptionsWhere<T>;
  }

  private entry(
    event: AuditEntry['event'],
    actor: Principal,
    { id, userId }: T,
    details: AuditEntry['details'] = {},
  ): AuditEntry {
    const account = userId !== actor.id && { accountId: userId };
    return { event, actor, target: `${this.options.kind}:${id}`, details: { ...details, ...account } };
  }
}

const notFound = (detail: string) => new NotFoundException({ code: 'not_found', detail });
