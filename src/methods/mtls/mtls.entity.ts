import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import type { Credential } from '../../users/credential.js';

@Entity('client_certificates')
export class ClientCertificate implements Credential {
  /** The serial number of the certificate, hexadecimal. */
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

  /** SHA-256 of the certificate in DER, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  fingerprint!: string;

  /** Null: limited only by the owner's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** Equal to the certificate's `notAfter`. */
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  /** Precise to the minute. */
  @Column({ type: DATE_COLUMN, nullable: true })
  lastUsedAt!: Date | null;

  @Index()
  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** The private CA. All processes share one row. */
@Entity('certificate_authorities')
export class CertificateAuthority {
  /** Unique, so that processes that start at the same time create only one CA. */
  @PrimaryColumn({ type: 'varchar', length: 16 })
  name!: string;

  /** PEM. */
  @Column({ type: 'text' })
  certificate!: string;

  /** The private key (PKCS #8, PEM), encrypted by `SecretBox`. */
  @Column({ type: 'text' })
  sealed!: string;
}
