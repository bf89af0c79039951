import {
  Column,
  Entity,
  Index,
  IsNull,
  JoinColumn,
  ManyToOne,
  MoreThan,
  PrimaryColumn,
  type EntityManager,
  type FindOptionsWhere,
} from 'typeorm';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import type { Principal } from '../../authentication/principal.js';
import { User } from '../../users/user.entity.js';
import { IDLE_TIMEOUT_MS, hashSessionValue } from './session.js';

@Entity('sessions')
export class Session {
  /** Not secret: used in lists, in the audit log and to end the session. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  /** SHA-256 of the cookie value, hexadecimal. */
  @Index({ unique: true })
  @Column({ type: 'varchar', length: 64 })
  idHash!: string;

  /** Hash of the cookie before the last renewal, valid until `previousUntil`. */
  @Index()
  @Column({ type: 'varchar', length: 64, nullable: true })
  previousHash!: string | null;

  @Column({ type: DATE_COLUMN, nullable: true })
  previousUntil!: Date | null;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's epoch at the sign-in. The session is invalid once the account's epoch is higher. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** The account's roles when the cookie was set. If they change, the cookie is renewed. Permissions never come from here. */
  @Column(STRING_LIST_COLUMN)
  roles!: string[];

  /** Null: no limit but the account's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  /** How (RFC 8176) and when the caller signed in. */
  @Column(STRING_LIST_COLUMN)
  amr!: string[];

  @Column({ type: DATE_COLUMN })
  authAt!: Date;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** Updated at most once a minute. */
  @Column({ type: DATE_COLUMN })
  lastSeenAt!: Date;

  /** The absolute end, which use does not extend. */
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;

  /** As the caller sent it, shown in the list of sessions. No decision depends on it. */
  @Column({ type: 'varchar', length: 200, nullable: true })
  userAgent!: string | null;

  @Column({ type: 'varchar', length: 45 })
  ip!: string;
}

/** The condition for the active sessions of an account. */
export const activeSessionsOf = ({ id, epoch }: User): FindOptionsWhere<Session> => ({
  userId: id,
  epoch,
  revokedAt: IsNull(),
  expiresAt: MoreThan(new Date()),
  lastSeenAt: MoreThan(new Date(Date.now() - IDLE_TIMEOUT_MS)),
});

/** The sessions with this cookie value, current or previous. @returns their ids */
export async function findByCookie(manager: EntityManager, value: string): Promise<string[]> {
  const hash = hashSessionValue(value);
  const sessions = await manager.findBy(Session, [{ idHash: hash }, { previousHash: hash }]);
  return sessions.map(({ id }) => id);
}

/** A new session replaces the oldest one beyond this number. */
export const MAX_SESSIONS_PER_USER = 20;

/** The oldest sessions, which must end to make room for one more. */
export async function findOldest(manager: EntityManager, user: User): Promise<string[]> {
  const sessions = await manager.find(Session, {
    select: { id: true },
    where: activeSessionsOf(user),
    order: { createdAt: 'DESC', id: 'ASC' },
  });
  return sessions.slice(MAX_SESSIONS_PER_USER - 1).map(({ id }) => id);
}

/** For the audit log: the account of a session that ends. */
export const principalOfSession = (
  { id: credentialId, authAt: at, amr }: Session,
  user: User,
): Principal => ({
  id: user.id,
  kind: user.kind,
  tenantId: user.tenantId,
  roles: user.roles,
  proofs: [{ method: 'session', credentialId, at, amr, bound: false, signIn: true }],
});
