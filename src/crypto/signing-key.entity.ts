import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { DATE_COLUMN } from '../database/columns.js';

/** RS256 is only for the ID tokens of clients that require it. */
export const SIGNING_ALGORITHMS = ['ES256', 'RS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/**
 * A key that signs tokens. It is published but does not sign before `activeFrom`, so that verifiers can fetch it first. From
 * `retiredAt` on it no longer signs, and its signatures stay valid for `RETIRED_KEY_GRACE_MS`.
 */
@Entity('signing_keys')
@Unique(['alg', 'generation'])
export class SigningKey {
  /** The thumbprint of the public key (RFC 7638). */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  kid!: string;

  @Column({ type: 'varchar', length: 5, default: 'ES256' })
  alg!: SigningAlgorithm;

  /** The number of the rotation of this algorithm. Of two processes that rotate at once only one succeeds. */
  @Column({ type: 'integer' })
  generation!: number;

  @Column({ type: 'simple-json' })
  publicJwk!: Readonly<Record<string, string>>;

  /** The private key (PKCS #8, PEM), encrypted by the secret box. */
  @Column({ type: 'text' })
  sealed!: string;

  @Column({ type: DATE_COLUMN })
  activeFrom!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  retiredAt!: Date | null;
}
