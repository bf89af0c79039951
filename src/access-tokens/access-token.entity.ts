import { createHash } from 'node:crypto';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { Actor } from '../authentication/principal.js';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** What is kept of an access token that this server's authorization server has issued: it is good for as long as this stands. */
@Entity('access_tokens')
export class AccessToken {
  /** See {@link idOf}. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id!: string;

  /** Whom it speaks for: the account that has consented, or the client's own. */
  @Index()
  @Column({ type: 'varchar', length: 36 })
  accountId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  @Index()
  @Column({ type: 'varchar', length: 255 })
  clientId!: string;

  /** The consent that it came of; null for what a client has in its own name. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  grantId!: string | null;

  /** The token that it was exchanged for (RFC 8693), and ends with; null for any other. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  parentId!: string | null;

  @ManyToOne(() => AccessToken, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'parentId' })
  parent?: AccessToken;

  /** The account's, when it consented. */
  @Column({ type: 'integer' })
  epoch!: number;

  @Column({ type: 'simple-json' })
  content!: AccessTokenContent;

  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;
}

/** What a token says, in the names of the engine that issues it. */
export interface AccessTokenContent {
  readonly aud?: string;
  /** Its scopes, separated by spaces. */
  readonly scope?: string;
  /** Seconds since 1970. */
  readonly iat: number;
  /** The thumbprint of the DPoP key (RFC 9449) or of the certificate (RFC 8705) that it is bound to. */
  readonly jkt?: string;
  readonly 'x5t#S256'?: string;
  /** RFC 9396. */
  readonly rar?: readonly Readonly<Record<string, unknown>>[];
  /** Claims of RFC 9068, section 2.2.1, and `act` of RFC 8693. */
  readonly extra?: {
    readonly auth_time?: number;
    readonly acr?: string;
    readonly amr?: readonly string[];
    readonly act?: Actor;
  };
}

/**
 * The name of a token's row: a digest, so that the table holds nothing to sign in with. That of an opaque token is made of
 * its text, that of a JWT of its `jti`, which is no secret and so must never name an opaque one.
 */
export const idOf = (format: 'jwt' | 'opaque', text: string): string =>
  createHash('sha256').update(`${format} ${text}`).digest('base64url');
