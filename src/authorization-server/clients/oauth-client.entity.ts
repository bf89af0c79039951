import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { ClientMetadata } from 'oidc-provider';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/**
 * The origins of the pages of a public web client: those of its redirect URIs. Scripts of these pages may call the server.
 * @param metadata in the names of RFC 7591
 */
export function pageOriginsOf({
  token_endpoint_auth_method,
  application_type = 'web',
  redirect_uris = [],
}: Partial<ClientMetadata>): string[] {
  if (token_endpoint_auth_method !== 'none' || application_type !== 'web') return [];
  const origins = redirect_uris
    .filter((uri) => /^https?:/.test(uri) && URL.canParse(uri))
    .map((uri) => new URL(uri).origin);
  return [...new Set(origins)];
}

/** A registered OAuth client (RFC 7591 section 2). */
@Entity('oauth_clients')
export class OauthClient {
  /** The `client_id`. */
  @PrimaryColumn({ type: 'varchar', length: 255 })
  id!: string;

  /** The machine account of the client, for tokens without a user; null if it has none. */
  @Index()
  @Column({ type: 'varchar', length: 36, nullable: true })
  accountId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  /**
   * The tenant whose administrators manage it. The client is for the accounts of this tenant only, and sees nothing of others.
   * Null: it is for all accounts that sign in to it, and sees nothing of those that do not.
   */
  @Column({ type: 'varchar', length: 36, nullable: true })
  tenantId!: string | null;

  /** Client metadata in the names of RFC 7591, without the secret. */
  @Column({ type: 'simple-json' })
  metadata!: Readonly<Record<string, unknown>>;

  /** The client secret, encrypted and not hashed: `client_secret_jwt` needs the plain text. Null for other clients. */
  @Column({ type: 'text', nullable: true })
  sealedSecret!: string | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** When a client that was registered without an initial access token is deleted if it has no consent; null for others. */
  @Index()
  @Column({ type: DATE_COLUMN, nullable: true })
  expiresAt!: Date | null;
}

/** An origin from {@link pageOriginsOf}. A preflight names no client, so it is looked up here. */
@Entity('oauth_client_origins')
export class OauthClientOrigin {
  @PrimaryColumn({ type: 'varchar', length: 255 })
  clientId!: string;

  @ManyToOne(() => OauthClient, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'clientId' })
  client?: OauthClient;

  @Index()
  @PrimaryColumn({ type: 'text' })
  origin!: string;
}
