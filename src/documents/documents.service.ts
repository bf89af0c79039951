import {
  ConflictException,
  Injectable,
  NotFoundException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { randomUUID, type KeyObject } from 'node:crypto';
import { DataSource, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { accessibleBy, onlyAccessible } from '../authorization/sql/accessible-by.js';
import { accessiblePage } from '../authorization/sql/keyset-pages.js';
import { assertCan, assertFieldsWritable, assertNewValues } from '../authorization/assert-can.js';
import { readCursor, writeCursor } from '../authorization/sql/cursor.js';
import type { Action, AppAbility } from '../authorization/app-ability.js';
import type { Principal } from '../authentication/principal.js';
import { AuditPort, type AuditEventName, type AuditEntry } from '../authentication/ports.js';
import { Settings } from '../config/settings.js';
import { deriveKey } from '../crypto/derived-keys.js';
import { User } from '../users/user.entity.js';
import { Document, DocumentShare } from './document.entity.js';
import { preconditionFailed, checkIfMatch } from '../http/preconditions.js';

/** A document is always read together with its shares. */
const MAX_SHARES_PER_DOCUMENT = 100;

type DocumentContent = Pick<Document, 'title' | 'body' | 'notes' | 'status' | 'classification'>;

export interface DocumentQuery extends Partial<Pick<Document, 'status' | 'classification' | 'ownerId'>> {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly sort: 'createdAt' | '-createdAt' | 'title' | '-title';
}

/**
 * Reads and writes documents within the limits of an ability. Each write repeats the permission in its WHERE clause, so a
 * document that changed since it was read is not written.
 */
@Injectable()
export class DocumentsService {
  private readonly cursorKey: KeyObject;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    settings: Settings,
  ) {
    this.cursorKey = deriveKey(settings.appSecret, 'cursor of documents');
  }

  async list(
    caller: Principal,
    ability: AppAbility,
    { limit, cursor, sort, ...filters }: DocumentQuery,
  ): Promise<{ documents: Document[]; nextCursor: string | null }> {
    const context = JSON.stringify([caller.tenantId, caller.id, sort, filters]);
    const { rows, next } = await accessiblePage(this.dataSource.manager, Document, ability, {
      action: 'read',
      where: filters,
      sort: {
        property: sort.replace('-', '') as 'createdAt' | 'title',
        direction: sort.startsWith('-') ? 'DESC' : 'ASC',
      },
      after: cursor === undefined ? undefined : readCursor(this.cursorKey, cursor, context),
      limit,
      relations: ['shares'],
    });
    return { documents: rows, nextCursor: next ? writeCursor(this.cursorKey, next, context) : null };
  }

  /** @throws NotFoundException if the document does not exist, or if the caller may not read it */
  async find(
    ability: AppAbility,
    id: string,
    manager: EntityManager = this.dataSource.manager,
  ): Promise<Document> {
    const query: SelectQueryBuilder<Document> = manager
      .createQueryBuilder(Document, 'document')
      .leftJoinAndSelect('document.shares', 'share')
      .where('document.id = :id', { id });
    const document = await accessibleBy(query, ability, 'read').getOne();
    if (!document) throw new NotFoundException({ code: 'not_found', detail: 'Document not found.' });
    return document;
  }

  async create(caller: Principal, ability: AppAbility, input: Partial<DocumentContent>): Promise<Document> {
    const now = new Date();
    const document = Object.assign(new Document(), {
      id: randomUUID(),
      tenantId: caller.tenantId,
      ownerId: caller.id,
      body: '',
      notes: '',
      status: 'draft',
      classification: 'internal',
      ...input,
      version: 1,
      createdAt: now,
      updatedAt: now,
      shares: [],
    });
    assertCan(ability, 'create', document);
    assertFieldsWritable(ability, 'create', document, input);
    assertNewValues(ability, document, input);
    await this.dataSource.transaction(async (manager) => {
      await manager.insert(Document, { ...document, shares: undefined });
      await this.audit.append(manager, auditEntry('sensitive_create', caller, document.id));
    });
    return document;
  }

  /**
   * Checks in this order.
   *
   * @throws NotFoundException if the caller may not read the document
   * @throws ForbiddenException if no field may be updated
   * @throws HttpException 428 or 412 for the precondition, see {@link checkIfMatch}
   * @throws UnprocessableEntityException `field_not_permitted`
   * @throws ForbiddenException if a new value is not permitted
   */
  async update(
    caller: Principal,
    ability: AppAbility,
    id: string,
    ifMatch: string | undefined,
    changes: Partial<DocumentContent>,
  ): Promise<Document> {
    return this.dataSource.transaction(async (manager) => {
      const before = await this.findForWrite(manager, ability, 'update', id, ifMatch);
      assertFieldsWritable(ability, 'update', before, changes);
      const values = { ...changes, ...nextVersion(before) };
      const after = Object.assign(new Document(), before, values);
      assertNewValues(ability, after, changes);
      const fields = Object.keys(changes);
      await this.write(manager, ability, before, values, fields);
      await this.audit.append(manager, auditEntry('sensitive_update', caller, id, { fields }));
      return after;
    });
  }

  async delete(
    caller: Principal,
    ability: AppAbility,
    id: string,
    ifMatch: string | undefined,
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const { version } = await this.findForWrite(manager, ability, 'delete', id, ifMatch);
      const query = manager.createQueryBuilder().delete().from(Document).where({ id, version });
      const { affected } = await onlyAccessible(query, ability, 'delete', Document).execute();
      if (!affected) throw preconditionFailed();
      await this.audit.append(manager, auditEntry('sensitive_delete', caller, id));
    });
  }

  async share(
    caller: Principal,
    ability: AppAbility,
    id: string,
    ifMatch: string | undefined,
    userId: string,
    level: DocumentShare['level'],
  ): Promise<Document> {
    return this.dataSource.transaction(async (manager) => {
      const before = await this.findForWrite(manager, ability, 'update', id, ifMatch);
      assertFieldsWritable(ability, 'update', before, { shares: [] });
      if (!(await manager.existsBy(User, { id: userId, tenantId: before.tenantId })))
        throw new UnprocessableEntityException({
          code: 'unknown_user',
          detail: 'No user with this id exists in your tenant.',
        });
      const others = before.shares.filter((share) => share.userId !== userId);
      if (others.length >= MAX_SHARES_PER_DOCUMENT)
        throw new ConflictException({
          code: 'too_many_shares',
          detail: `A document can be shared with at most ${MAX_SHARES_PER_DOCUMENT} users.`,
        });
      await this.write(manager, ability, before, nextVersion(before), ['shares']);
      const share = manager.create(DocumentShare, { documentId: id, userId, level });
      await manager.upsert(DocumentShare, share, ['documentId', 'userId']);
      await this.audit.append(manager, auditEntry('authz_change', caller, id, { userId, level }));
      return Object.assign(new Document(), before, nextVersion(before), { shares: [...others, share] });
    });
  }

  /** Deletes a share. Without such a share, the document stays as it is and the response is the same. */
  async unshare(
    caller: Principal,
    ability: AppAbility,
    id: string,
    ifMatch: string | undefined,
    userId: string,
  ): Promise<Document> {
    return this.dataSource.transaction(async (manager) => {
      const before = await this.findForWrite(manager, ability, 'update', id, ifMatch);
      assertFieldsWritable(ability, 'update', before, { shares: [] });
      const shares = before.shares.filter((share) => share.userId !== userId);
      if (shares.length === before.shares.length) return before;
      await this.write(manager, ability, before, nextVersion(before), ['shares']);
      await manager.delete(DocumentShare, { documentId: id, userId });
      await this.audit.append(manager, auditEntry('authz_change', caller, id, { userId, level: null }));
      return Object.assign(new Document(), before, nextVersion(before), { shares });
    });
  }

  /** Finds a document and checks the action and `If-Match`. */
  private async findForWrite(
    manager: EntityManager,
    ability: AppAbility,
    action: Action,
    id: string,
    ifMatch: string | undefined,
  ): Promise<Document> {
    const document = await this.find(ability, id, manager);
    assertCan(ability, action, document);
    checkIfMatch(ifMatch, document);
    return document;
  }

  /** @throws PreconditionFailedException if the document or the permission on its fields changed since it was read */
  private async write(
    manager: EntityManager,
    ability: AppAbility,
    { id, version }: Document,
    values: Partial<DocumentContent> & Pick<Document, 'version' | 'updatedAt'>,
    fields: readonly string[],
  ): Promise<void> {
    const query = manager.createQueryBuilder().update(Document).set(values).where({ id, version });
    const { affected } = await onlyAccessible(query, ability, 'update', Document, fields).execute();
    if (!affected) throw preconditionFailed();
  }
}

const nextVersion = ({ version }: Document) => ({ version: version + 1, updatedAt: new Date() });

const auditEntry = (
  name: AuditEventName,
  actor: Principal,
  id: string,
  details: AuditEntry['details'] = {},
): AuditEntry => ({
  event: name,
  actor,
  target: `document:${id}`,
  details,
});
