import { hash } from 'node:crypto';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { Actor } from '../authentication/principal.js';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** An access token that this server's authorization server has issued. Deleting the row revokes the token. */
@Entity('access_tokens')
export class AccessToken {
  /** See {@link accessTokenId}. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id!: string;

  /** The account that consented; for the client credentials grant, the client's own account. */
  @Index()
  @Column({ type: 'varchar', length: 36 })
  accountId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  @Index()
  @Column({ type: 'varchar', length: 255 })
  clientId!: string;

  /** The consent behind the token; null for the client credentials grant. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  grantId!: string | null;

  /** For a token from token exchange (RFC 8693): the subject token. Both are revoked together. */
  @Index()
  @Column({ type: 'varchar', length: 43, nullable: true })
  parentId!: string | null;

  @ManyToOne(() => AccessToken, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'parentId' })
  parent?: AccessToken;

  /** The account's `epoch` when it consented. The token is invalid once the account's is higher. */
  @Column({ type: 'integer' })
  epoch!: number;

  @Column({ type: 'simple-json' })
  content!: AccessTokenContent;

  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;
}

/** The claims of an access token, under the names that the library `oidc-provider` uses. */
export interface AccessTokenContent {
  readonly aud?: string;
  /** Scopes, separated by spaces. */
  readonly scope?: string;
  /** Seconds since 1970. */
  readonly iat: number;
  /** The thumbprint of the DPoP key (RFC 9449) that the token is bound to. */
  readonly jkt?: string;
  /** The thumbprint of the client certificate (RFC 8705) that the token is bound to. */
  readonly 'x5t#S256'?: string;
  /** Rich authorization requests: `authorization_details` (RFC 9396). */
  readonly rar?: readonly Readonly<Record<string, unknown>>[];
  /** Claims of RFC 9068 section 2.2.1, and `act` of RFC 8693. */
  readonly extra?: {
    readonly auth_time?: number;
    readonly acr?: string;
    readonly amr?: readonly string[];
    readonly act?: Actor;
  };
}

/**
 * The primary key of a token's row: a SHA-256 digest, so that a copy of the table contains no usable token.
 * The format is part of the digest: a `jti` is not secret and must never work as an opaque token.
 *
 * @param text an opaque token itself; of a JWT, its `jti`
 */
export const accessTokenId = (format: 'jwt' | 'opaque', text: string): string =>
  hash('sha256', `${format} ${text}`, 'base64url');
