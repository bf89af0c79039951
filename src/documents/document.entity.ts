import { Column, Entity, Index, JoinColumn, ManyToOne, OneToMany, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';
import { Tenant, User } from '../users/user.entity.js';

export const STATUSES = ['draft', 'published', 'archived'] as const;
/** From the least to the most confidential. */
export const CLASSIFICATIONS = ['public', 'internal', 'confidential', 'secret'] as const;
export const SHARE_LEVELS = ['read', 'update'] as const;

/**
 * Each index starts with the columns that a rule of the policy fixes, and ends with a sort column and the id. A page of a
 * list is then one range of one index.
 */
@Entity('documents')
@Index(['tenantId', 'createdAt', 'id'])
@Index(['tenantId', 'title', 'id'])
@Index(['tenantId', 'status', 'createdAt', 'id'])
@Index(['tenantId', 'status', 'title', 'id'])
@Index(['ownerId', 'createdAt', 'id'])
@Index(['ownerId', 'title', 'id'])
export class Document {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 36 })
  tenantId!: string;

  @ManyToOne(() => Tenant)
  @JoinColumn({ name: 'tenantId' })
  tenant?: Tenant;

  @Column({ type: 'varchar', length: 36 })
  ownerId!: string;

  @ManyToOne(() => User)
  @JoinColumn({ name: 'ownerId' })
  owner?: User;

  @Column({ type: 'varchar', length: 200 })
  title!: string;

  @Column({ type: 'text' })
  body!: string;

  /** Internal remarks. */
  @Column({ type: 'text' })
  notes!: string;

  @Column({ type: 'varchar', length: 20 })
  status!: (typeof STATUSES)[number];

  @Column({ type: 'varchar', length: 20 })
  classification!: (typeof CLASSIFICATIONS)[number];

  /** The number of writes, from 1. The ETag is its quoted form. */
  @Column({ type: 'integer' })
  version!: number;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Column({ type: DATE_COLUMN })
  updatedAt!: Date;

  @OneToMany(() => DocumentShare, (share) => share.document)
  shares!: DocumentShare[];
}

/** A user with whom a document is shared. */
@Entity('document_shares')
@Index(['userId', 'documentId'])
export class DocumentShare {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  documentId!: string;

  @PrimaryColumn({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => Document, (document) => document.shares, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'documentId' })
  document?: Document;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  @Column({ type: 'varchar', length: 10 })
  level!: (typeof SHARE_LEVELS)[number];
}
