import { BadRequestException, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { AuthRequest } from '../../authentication/request.js';
import type { Issuer } from '../../authentication/method.js';
import type { Principal, Proof } from '../../authentication/principal.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { isPostgres } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import { SessionCsrf } from './session.csrf.js';
import { Session } from './session.entity.js';
import { ABSOLUTE_MS, SessionCookie, hashOf, mintSession } from './session.js';
import { Sessions, live } from './session.service.js';

/** Of one account: the oldest end where there would be more. */
export const MOST_SESSIONS = 20;

@Injectable()
export class SessionIssuer implements Issuer {
  private readonly cookie: SessionCookie;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly csrf: SessionCsrf,
    private readonly sessions: Sessions,
    settings: Settings,
  ) {
    this.cookie = new SessionCookie(settings.publicUrl);
  }

  /**
   * A new session, with a new value, whatever the browser sent: one that was there before belongs to whoever put it
   * there (session fixation), and ends.
   *
   * @returns `expires_in` in seconds
   * @throws ForbiddenException `invalid_csrf_token` where another site asks
   */
  async issue(principal: Principal, request: AuthRequest, epoch: number) {
    this.csrf.checkSignIn(request);
    const before = this.cookie.read(request.header('Cookie'));
    if (before.length > 1)
      throw new BadRequestException({
        code: 'duplicate_cookie',
        detail: `The cookie ${this.cookie.name} came twice.`,
      });
    const { value, hash } = mintSession();
    const session = newSession(principal, request, epoch, hash);
    await this.dataSource.transaction(async (manager) => {
      const user = await this.take(manager, principal.id);
      const ends = [...(await this.sentWith(manager, before)), ...(await this.oldest(manager, user))];
      const ended: AuditEntry[] = [];
      for (const id of ends.sort()) {
        const entry = await this.sessions.close(manager, id, 'replaced', principal);
        if (entry) ended.push(entry);
      }
      await manager.insert(Session, session);
      await this.audit.append(
        manager,
        ...ended,
        { event: 'authn_login_success', actor: principal, details: { as: 'session' } },
        { event: 'session_created', actor: principal, target: `session:${session.id}` },
      );
    });
    request.setHeader('Set-Cookie', this.cookie.set(value));
    return { csrf_token: this.csrf.tokenFor(session.id), expires_in: ABSOLUTE_MS / 1000 };
  }

  /** Logs out: the browser forgets the cookie and what it kept of our pages. */
  async end({ credentialId = '' }: Proof, request: AuthRequest): Promise<void> {
    const session = await this.dataSource.manager.findOne(Session, {
      where: { id: credentialId },
      relations: { user: true },
    });
    if (session?.user) await this.sessions.over(credentialId, 'logged out', actorOf(session, session.user));
    this.forget(request);
  }

  /** Takes the cookie away, with whatever the browser keeps of this origin. */
  forget(request: AuthRequest): void {
    request.setHeader('Set-Cookie', this.cookie.clear());
    request.setHeader('Clear-Site-Data', '"cache", "cookies", "storage"');
  }

  /** Holds the account's row to the end of the transaction: sign-ins take turns, so that each counts the ones before. */
  private take(manager: EntityManager, id: string): Promise<User> {
    return manager.findOneOrFail(User, {
      where: { id },
      ...(isPostgres(this.dataSource) && { lock: { mode: 'pessimistic_write' as const } }),
    });
  }

  private async sentWith(manager: EntityManager, values: readonly string[]): Promise<string[]> {
    const hashes = values.map(hashOf);
    const sent = hashes.flatMap((hash) => [{ idHash: hash }, { previousHash: hash }]);
    return sent.length ? (await manager.findBy(Session, sent)).map(({ id }) => id) : [];
  }

  /** Those that must end so that there is room for one more. */
  private async oldest(manager: EntityManager, user: User): Promise<string[]> {
    const sessions = await manager.find(Session, {
      select: { id: true },
      where: live(user),
      order: { createdAt: 'DESC', id: 'ASC' },
    });
    return sessions.slice(MOST_SESSIONS - 1).map(({ id }) => id);
  }
}

function newSession(
  principal: Principal,
  request: AuthRequest,
  epoch: number,
  idHash: string,
): Omit<Session, 'user'> {
  const now = new Date();
  return {
    id: randomUUID(),
    idHash,
    previousHash: null,
    previousUntil: null,
    userId: principal.id,
    epoch,
    roles: [...principal.roles],
    scopes: principal.scopes ? [...principal.scopes] : null,
    amr: [...new Set(principal.proofs.flatMap((proof) => proof.amr))],
    authAt: principal.proofs[0].at,
    createdAt: now,
    lastSeenAt: now,
    expiresAt: new Date(now.getTime() + ABSOLUTE_MS),
    revokedAt: null,
    userAgent: request.header('User-Agent')?.slice(0, 200) ?? null,
    ip: request.ip,
  };
}

const actorOf = ({ id: credentialId, authAt: at, amr }: Session, user: User): Principal => ({
  id: user.id,
  kind: user.kind,
  tenantId: user.tenantId,
  roles: user.roles,
  proofs: [{ method: 'session', credentialId, at, amr, bound: false }],
});
