import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { Credential } from '../../users/credential.js';

@Entity('client_certificates')
export class ClientCertificate implements Credential {
  /** Its serial number, hexadecimal. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user!: User;

  @Column({ type: 'varchar', length: 100 })
  name!: string;

  /** SHA-256 of the certificate, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  fingerprint!: string;

  /** Null: no ceiling but the owner's roles. */
  @Column({ type: 'simple-json', nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** The same moment stands in the certificate. */
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  /** To the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Index()
  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** The CA. There is one, for all processes. */
@Entity('certificate_authorities')
export class CertificateAuthority {
  /** Unique, so that of two processes that make one at once only one does. */
  @PrimaryColumn({ type: 'varchar', length: 16 })
  name!: string;

  /** PEM. */
  @Column({ type: 'text' })
  certificate!: string;

  /** The private key (PKCS #8, PEM) in the secret box. */
  @Column({ type: 'text' })
  sealed!: string;
}
