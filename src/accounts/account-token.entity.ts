import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import type { Role } from '../authentication/principal.js';
import { DATE_COLUMN } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** `oldAddress`: null if the account had no verified address. */
interface EmailChangePayload {
  readonly oldAddress: string | null;
  readonly newAddress: string;
}

/** The purposes of mailed tokens, with the data that each keeps until its use. */
export interface TokenPayloads {
  /** `epoch`: that of the account at the request, so that a changed password or ended sign-ins end the token. */
  'password-reset': { readonly epoch: number };
  /** `name`: the display name. */
  'email-change-old': EmailChangePayload;
  'email-change-new': EmailChangePayload;
  'email-verification': object;
  /** `actorId`: the administrator. */
  recovery: { readonly actorId: string };
  /** `disabledAt`: the time of the request. */
  deletion: { readonly disabledAt: string };
  /** The account is the inviter's. */
  invitation: { readonly tenantId: string; readonly role: Role };
  registration: { readonly name: string | null };
}
export type TokenPurpose = keyof TokenPayloads;

/** A secret in a mail, for one use. */
@Entity('account_tokens')
@Index(['purpose', 'address'])
@Index(['accountId', 'purpose'])
export class AccountToken {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 20 })
  purpose!: TokenPurpose;

  /** SHA-256 of the token in base64url. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 43 })
  hash!: string;

  /** Null if no account has the address: such a row makes the work the same, and its token is never mailed. */
  @Column({ type: 'varchar', length: 36, nullable: true })
  accountId!: string | null;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'accountId' })
  account?: User;

  /** The mailbox, in the form of `normalizeEmailAddress`. */
  @Column({ type: 'varchar', length: 254 })
  address!: string;

  @Column({ type: 'simple-json' })
  payload!: object;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  usedAt!: Date | null;
}
