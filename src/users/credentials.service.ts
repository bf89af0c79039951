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
import type { AuditEntry, AuditPort } from '../authentication/ports.js';
import {
  type MethodName,
  type Principal,
  assertMayManageCredentials,
  limitedCredential,
} from '../authentication/principal.js';
import type { Credential } from './credential.js';

/** Keeps a stolen credential from filling the table. */
const MAX_CREDENTIALS_PER_USER = 100;

/** Lets a credential create credentials of its own kind, which are revoked with it. */
export interface ChildCredentials<T> {
  readonly method: MethodName;
  /** Whether a child keeps the expiry and the other restrictions of its parent; scopes are compared by the service. */
  readonly isWithin: (child: T, parent: T) => boolean;
}

/** The columns of a secret that can be rotated. */
export interface SecretColumns<T> {
  readonly current: keyof T;
  readonly previous: keyof T;
}

/**
 * Issues, lists, rotates and revokes an account's credentials of one kind. Each change and its audit event are
 * one transaction.
 */
export class CredentialsService<T extends Credential> {
  private readonly rows: Repository<T>;

  /**
   * @param kind the name in the audit log and in messages: `hmac-key`
   * @param children absent if a credential of this kind creates no others
   */
  constructor(
    dataSource: DataSource,
    private readonly audit: AuditPort,
    entity: new () => T,
    private readonly kind: string,
    private readonly children?: ChildCredentials<T>,
  ) {
    this.rows = dataSource.getRepository(entity);
  }

  /** The scopes of a new credential: the requested ones, or else the caller's own. */
  scopesFor(caller: Principal, requested: readonly string[] | undefined): string[] | null {
    const scopes = requested ?? caller.scopes;
    return scopes ? [...scopes] : null;
  }

  /** The credential of this kind that the caller sent: the parent of what it creates. */
  async parentOf({ proofs }: Principal): Promise<T | null> {
    const id = proofs.find(({ method }) => method === this.children?.method)?.credentialId;
    return id === undefined ? null : this.rows.findOneBy({ id } as FindOptionsWhere<T>);
  }

  /**
   * @throws ForbiddenException `limited_credential`
   * @throws ConflictException `too_many_credentials`
   */
  async add(caller: Principal, row: T): Promise<T> {
    await this.assertMayManage(caller, row);
    if ((await this.rows.countBy(this.active({ userId: caller.id }))) >= MAX_CREDENTIALS_PER_USER)
      throw new ConflictException({
        code: 'too_many_credentials',
        detail: `An account has at most ${MAX_CREDENTIALS_PER_USER} of these. Revoke one first.`,
      });
    await this.rows.manager.transaction(async (manager) => {
      if (row.parentId) await this.lockParent(manager, row.parentId);
      await manager.insert(this.rows.target, row as QueryDeepPartialEntity<T>);
      await this.audit.append(manager, this.entry('authn_token_created', caller, row.id));
    });
    return row;
  }

  /**
   * The account's credentials that are not revoked, newest first.
   * @throws ForbiddenException `limited_credential`
   */
  async list(caller: Principal): Promise<T[]> {
    assertMayManageCredentials(caller);
    const order = { createdAt: 'DESC', id: 'ASC' } as FindOptionsOrder<T>;
    return this.rows.find({ where: this.active({ userId: caller.id }), order });
  }

  /**
   * A credential that the caller may change.
   * @throws NotFoundException for another account's credential, exactly as for one that does not exist
   * @throws ForbiddenException `limited_credential`
   */
  async find(caller: Principal, id: string): Promise<T> {
    const row = await this.rows.findOneBy(this.active({ id, userId: caller.id }));
    if (!row) throw new NotFoundException({ code: 'not_found', detail: `You have no such ${this.kind}.` });
    await this.assertMayManage(caller, row);
    return row;
  }

  /**
   * Stores a new secret. The one before stays valid for `overlapSeconds`; the one before that stops at once.
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
    return this.rotate(caller, row, { [current]: row[current] } as Partial<T>, changes);
  }

  /**
   * Gives a row a new secret.
   * @param before the columns that hold the old one: of two that rotate at once, one does
   * @throws ConflictException `concurrent_rotation`
   */
  async rotate(caller: Principal, row: T, before: Partial<T>, changes: Partial<T>): Promise<T> {
    await this.rows.manager.transaction(async (manager) => {
      const { affected } = await manager.update(
        this.rows.target,
        this.active({ ...before, id: row.id }),
        changes as QueryDeepPartialEntity<T>,
      );
      if (!affected)
        throw new ConflictException({
          code: 'concurrent_rotation',
          detail: 'The credential was changed by another request. Read it again.',
        });
      await this.audit.append(manager, this.entry('authn_token_created', caller, row.id, { rotated: true }));
    });
    return { ...row, ...changes };
  }

  /** Ends a credential and all that were created by it, from the next request on. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.find(caller, id);
    await this.rows.manager.transaction(async (manager) => {
      const changes = { revokedAt: new Date() } as unknown as QueryDeepPartialEntity<T>;
      const revoked: string[] = [];
      for (let ids = [id]; ids.length; ids = await this.childrenOf(manager, ids))
        for (const each of ids) {
          const { affected } = await manager.update(this.rows.target, this.active({ id: each }), changes);
          if (affected) revoked.push(each);
        }
      const entries = revoked.map((each) => this.entry('authn_token_revoked', caller, each));
      await this.audit.append(manager, ...entries);
    });
  }

  private async assertMayManage(caller: Principal, row: T): Promise<void> {
    const parent = await this.parentOf(caller);
    const keepsRestrictions = parent && this.children?.isWithin(row, parent);
    assertMayManageCredentials(caller, {
      scopes: row.scopes,
      ...(keepsRestrictions && { keepsRestrictionsOf: this.children?.method }),
    });
  }

  /** Makes the creation of a child and the revocation of its parent wait for each other. */
  private async lockParent(manager: EntityManager, id: string): Promise<void> {
    const unchanged = { id } as unknown as QueryDeepPartialEntity<T>;
    const { affected } = await manager.update(this.rows.target, this.active({ id }), unchanged);
    if (!affected) throw limitedCredential();
  }

  private async childrenOf(manager: EntityManager, ids: readonly string[]): Promise<string[]> {
    if (!this.children) return [];
    const where = { parentId: In(ids) } as unknown as FindOptionsWhere<T>;
    return (await manager.findBy(this.rows.target, where)).map(({ id }) => id).sort();
  }

  private active(where: object): FindOptionsWhere<T> {
    return { ...where, revokedAt: IsNull() } as FindOptionsWhere<T>;
  }

  private entry(
    event: AuditEntry['event'],
    actor: Principal,
    id: string,
    details: AuditEntry['details'] = {},
  ): AuditEntry {
    return { event, actor, target: `${this.kind}:${id}`, details };
  }
}
