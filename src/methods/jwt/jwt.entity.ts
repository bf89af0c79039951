import { BadRequestException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import type { AuditEntry } from '../../authentication/ports.js';
import type { Principal, Proof } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { DATE_COLUMN, STRING_LIST_COLUMN } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';

/** A family ends after this time, even if it is refreshed. */
const ABSOLUTE_TIMEOUT_MS = 30 * 24 * 60 * 60_000;
const MAX_USER_AGENT_LENGTH = 200;

/** One sign-in with all its tokens, which end together. */
@Entity('token_families')
export class TokenFamily {
  /** The `sid` claim of its access tokens. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  userId!: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'userId' })
  user?: User;

  /** The account's epoch at the sign-in. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** Granted at the sign-in. Null: no limit but the account's roles. */
  @Column({ ...STRING_LIST_COLUMN, nullable: true })
  scopes!: string[] | null;

  /** How (RFC 8176) and when the account signed in. */
  @Column(STRING_LIST_COLUMN)
  amr!: string[];

  @Column({ type: DATE_COLUMN })
  authAt!: Date;

  @Column({ type: 'varchar', length: 200 })
  userAgent!: string;

  @Column({ type: DATE_COLUMN })
  createdAt!: Date;

  /** The absolute end, which a refresh does not extend. */
  @Index()
  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  revokedAt!: Date | null;
}

/** A refresh token. Used ones stay stored, so that their reuse is detected. */
@Entity('refresh_tokens')
export class RefreshToken {
  /** The public part of the token. */
  @PrimaryColumn({ type: 'varchar', length: 22 })
  id!: string;

  @Index()
  @Column({ type: 'varchar', length: 36 })
  familyId!: string;

  @ManyToOne(() => TokenFamily, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'familyId' })
  family?: TokenFamily;

  /** SHA-256 of the secret part, hexadecimal. */
  @Column({ type: 'varchar', length: 64 })
  hash!: string;

  @Column({ type: DATE_COLUMN })
  expiresAt!: Date;

  @Column({ type: DATE_COLUMN, nullable: true })
  usedAt!: Date | null;

  /** The next refresh token, encrypted. Stored only if a used token may be repeated. */
  @Column({ type: 'text', nullable: true })
  sealedSuccessor?: string | null;
}

/** Whether a token of this family authenticated the request. */
export const isCurrentFamily = ({ proofs }: Principal, id: string): boolean =>
  proofs.some(({ method, credentialId }) => method === 'jwt' && credentialId === id);

export const invalidGrant = (reason: string) =>
  new BadCredential('invalid_grant', reason, { error: 'invalid_token' });

export function newFamily(principal: Principal, request: AuthRequest, epoch: number): TokenFamily {
  const now = new Date();
  return {
    id: randomUUID(),
    userId: principal.id,
    epoch,
    scopes: principal.scopes ? [...principal.scopes] : null,
    amr: [...new Set(principal.proofs.flatMap((proof) => proof.amr))],
    authAt: new Date(Math.max(...principal.proofs.map((proof) => proof.at.getTime()))),
    userAgent: (request.headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH),
    createdAt: now,
    expiresAt: new Date(now.getTime() + ABSOLUTE_TIMEOUT_MS),
    revokedAt: null,
  };
}

export const proofOf = ({ id, authAt, amr }: TokenFamily): Proof => ({
  method: 'jwt',
  credentialId: id,
  at: authAt,
  amr,
  bound: false,
  signIn: true,
});

export function familyFault(family: TokenFamily, tokenExpiresAt: Date, now: Date): string | undefined {
  if (family.revokedAt) return 'revoked';
  if (family.expiresAt <= now || tokenExpiresAt <= now) return 'expired';
  if (family.epoch !== family.user!.epoch) return 'all sign-ins were ended';
  return undefined;
}

/** Narrows the scopes of the sign-in, not those of an earlier refresh. */
export function narrowScopes(
  granted: readonly string[] | null,
  scope: string | undefined,
): readonly string[] | null {
  if (scope === undefined) return granted;
  const requested = [...new Set(scope.split(' '))];
  if (!granted || requested.every((each) => granted.includes(each))) return requested;
  throw new BadRequestException({
    code: 'invalid_scope',
    detail: 'The sign-in did not grant all of these scopes.',
  });
}

export const familyEvent = (
  family: TokenFamily,
  event: AuditEntry['event'],
  actor: Principal | undefined,
): AuditEntry => ({
  event,
  actor,
  method: 'jwt',
  target: `token-family:${family.id}`,
  details: { userId: family.userId },
});
