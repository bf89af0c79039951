import { ConflictException, ForbiddenException, NotFoundException } from '@nestjs/common';
import {
  IsNull,
  type DataSource,
  type EntityManager,
  type FindOptionsOrder,
  type FindOptionsWhere,
  type QueryDeepPartialEntity,
  type Repository,
} from 'typeorm';
import { scopesInclude, type Principal } from '../authentication/principal.js';
import type { AuditPort, AuditEntry } from '../authentication/ports.js';
import type { Credential } from './credential.js';

/** So that one stolen credential cannot fill the table. */
const MOST = 100;

/**
 * The life of an account's own credentials of one kind: each change with its event, in one transaction. A limited
 * credential manages only what is limited at least as much.
 */
export class CredentialsService<T extends Credential> {
  private readonly rows: Repository<T>;

  /** @param kind names them in the audit log, `hmac-key`, and to people, `key` */
  constructor(
    dataSource: DataSource,
    private readonly audit: AuditPort,
    entity: new () => T,
    private readonly kind: string,
  ) {
    this.rows = dataSource.getRepository(entity);
  }

  /** The scopes of a new one: those that are asked for, or the caller's own ceiling. */
  scopesFor(caller: Principal, wanted: readonly string[] | undefined): string[] | null {
    const scopes = wanted ?? caller.scopes;
    return scopes ? [...scopes] : null;
  }

  /**
   * @throws ForbiddenException `limited_credential` where it would reach further than the caller
   * @throws ConflictException `too_many_credentials`
   */
  async add(caller: Principal, row: T): Promise<T> {
    refuseBeyond(caller, row);
    if ((await this.rows.countBy(this.live({ userId: caller.id }))) >= MOST)
      throw new ConflictException({
        code: 'too_many_credentials',
        detail: `An account has at most ${MOST} of these. Revoke one first.`,
      });
    await this.rows.manager.transaction(async (manager) => {
      await manager.insert(this.rows.target, row as QueryDeepPartialEntity<T>);
      await this.append(manager, 'authn_token_created', caller, row.id);
    });
    return row;
  }

  /** Those that are not revoked, the newest first. */
  list(caller: Principal): Promise<T[]> {
    const order = { createdAt: 'DESC', id: 'ASC' } as FindOptionsOrder<T>;
    return this.rows.find({ where: this.live({ userId: caller.id }), order });
  }

  /**
   * One that the caller may change.
   * @throws NotFoundException for one that is not the caller's, exactly as for one that does not exist
   */
  async find(caller: Principal, id: string): Promise<T> {
    const row = await this.rows.findOneBy(this.live({ id, userId: caller.id }));
    if (!row) throw new NotFoundException({ code: 'not_found', detail: `You have no such ${this.kind}.` });
    refuseBeyond(caller, row);
    return row;
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
        this.live({ ...before, id: row.id }),
        changes as QueryDeepPartialEntity<T>,
      );
      if (!affected)
        throw new ConflictException({
          code: 'concurrent_rotation',
          detail: 'The credential was changed by another request. Read it again.',
        });
      await this.append(manager, 'authn_token_created', caller, row.id, { rotated: true });
    });
    return { ...row, ...changes };
  }

  /** Ends one, from the next request on. */
  async revoke(caller: Principal, id: string): Promise<void> {
    await this.find(caller, id);
    await this.rows.manager.transaction(async (manager) => {
      const changes = { revokedAt: new Date() } as unknown as QueryDeepPartialEntity<T>;
      const { affected } = await manager.update(this.rows.target, this.live({ id }), changes);
      if (affected) await this.append(manager, 'authn_token_revoked', caller, id);
    });
  }

  private live(where: object): FindOptionsWhere<T> {
    return { ...where, revokedAt: IsNull() } as FindOptionsWhere<T>;
  }

  private append(
    manager: EntityManager,
    event: AuditEntry['event'],
    actor: Principal,
    id: string,
    details: AuditEntry['details'] = {},
  ): Promise<void> {
    return this.audit.append(manager, { event, actor, target: `${this.kind}:${id}`, details });
  }
}

function refuseBeyond({ scopes: ceiling, proofs }: Principal, { scopes }: Credential): void {
  if (!scopesInclude(ceiling, scopes ?? undefined) || proofs.some(({ restricted }) => restricted))
    throw new ForbiddenException({
      code: 'limited_credential',
      detail: 'It would exceed the scopes, expiry or addresses of the credential you sent.',
    });
}
