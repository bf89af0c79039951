import { Injectable, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, IsNull, LessThan, type EntityManager } from 'typeorm';
import { signInEnded, type Authentication, type Issuer } from '../../authentication/method.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { type Principal, type Proof, assertMayManageCredentials } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { isPostgres } from '../../database/columns.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import { User } from '../../users/user.entity.js';
import { SessionCookie } from './session.cookie.js';
import { SessionCsrf } from './session.csrf.js';
import { Session, activeSessionsOf, findByCookie, findOldest, principalOfSession } from './session.entity.js';
import { ABSOLUTE_TIMEOUT_MS, newSessionValue } from './session.js';

/** After a renewal, requests in progress still carry the previous cookie. */
const PREVIOUS_COOKIE_GRACE_MS = 10_000;
const ENDED_SESSION_RETENTION_MS = 24 * 60 * 60_000;
const MAX_USER_AGENT_LENGTH = 200;

/** Issues, lists, renews and ends sessions. */
@Injectable()
export class SessionService extends HourlyCleanup implements Issuer {
  private readonly cookie: SessionCookie;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly csrf: SessionCsrf,
    settings: Settings,
  ) {
    super();
    this.cookie = new SessionCookie(settings.publicUrl);
  }

  /**
   * Creates a session with a new random cookie. Ends the session whose cookie the request carries, because an
   * attacker may have planted it (session fixation).
   *
   * @returns `expires_in` in seconds
   * @throws ForbiddenException `invalid_csrf_token` for a cross-site request
   * @throws BadRequestException `duplicate_cookie`
   */
  async issue(principal: Principal, request: AuthRequest, epoch: number) {
    this.csrf.checkSignIn(request);
    const previous = this.cookie.readOne(request);
    const { value, hash } = newSessionValue();
    const session = newSession(principal, request, epoch, hash);
    await this.dataSource.transaction(async (manager) => {
      const user = await this.lockUser(manager, principal.id);
      const replaced = [
        ...(previous === undefined ? [] : await findByCookie(manager, previous)),
        ...(await findOldest(manager, user)),
      ];
      const ended: AuditEntry[] = [];
      for (const id of replaced.sort()) {
        const entry = await this.revokeIn(manager, id, 'replaced', principal);
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
    return { csrf_token: this.csrf.tokenFor(session.id), expires_in: ABSOLUTE_TIMEOUT_MS / 1000 };
  }

  /**
   * Stores a fresh authentication, and replaces the cookie at once: a copy of the cookie from before gains nothing.
   * @throws ConflictException `sign_in_ended` if the session ended meanwhile
   */
  async stepUp(principal: Principal, { at, amr }: Authentication, request: AuthRequest) {
    const id = currentSessionId(principal)!;
    const { value, hash } = newSessionValue();
    const changes = { idHash: hash, previousHash: null, previousUntil: null, authAt: at, amr: [...amr] };
    const expiresAt = await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.update(Session, { id, revokedAt: IsNull() }, changes);
      if (!affected) throw signInEnded();
      await this.audit.append(manager, {
        event: 'session_renewed',
        actor: principal,
        target: `session:${id}`,
        details: { stepUp: true },
      });
      return (await manager.findOneByOrFail(Session, { id })).expiresAt;
    });
    request.setHeader('Set-Cookie', this.cookie.set(value));
    const expires_in = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000));
    return { csrf_token: this.csrf.tokenFor(id), expires_in };
  }

  /** Logs out: ends the session of this request and clears its data in the browser. */
  async end({ credentialId = '' }: Proof, request: AuthRequest): Promise<void> {
    const session = await this.dataSource.manager.findOne(Session, {
      where: { id: credentialId },
      relations: { user: true },
    });
    if (session?.user)
      await this.revoke(credentialId, 'logged out', principalOfSession(session, session.user));
    this.clearBrowser(request);
  }

  /** Deletes the cookie, and all data that the browser stores for this origin. */
  clearBrowser(request: AuthRequest): void {
    request.setHeader('Set-Cookie', this.cookie.clear());
    request.setHeader('Clear-Site-Data', '"cache", "cookies", "storage"');
  }

  /**
   * The caller's active sessions, newest first.
   * @throws ForbiddenException `limited_credential`
   */
  async list(caller: Principal): Promise<Session[]> {
    assertMayManageCredentials(caller);
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    return this.dataSource.manager.find(Session, {
      where: activeSessionsOf(user),
      order: { createdAt: 'DESC', id: 'ASC' },
    });
  }

  /**
   * Ends one of the caller's sessions.
   * @throws NotFoundException if the caller has no active session with this id
   * @throws ForbiddenException `limited_credential`
   */
  async revokeOwn(caller: Principal, id: string): Promise<void> {
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    const session = await this.dataSource.manager.findOneBy(Session, { ...activeSessionsOf(user), id });
    if (!session) throw new NotFoundException({ code: 'not_found', detail: 'You have no such session.' });
    if (id !== currentSessionId(caller)) assertMayManageCredentials(caller);
    await this.revoke(id, 'ended', caller);
  }

  /**
   * Logs out everywhere: ends all sign-ins of the account, by every method.
   * @throws ForbiddenException `limited_credential`
   */
  async revokeAll(caller: Principal): Promise<void> {
    assertMayManageCredentials(caller);
    await this.dataSource.transaction(async (manager) => {
      await endAllSignIns(manager, caller.id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `user:${caller.id}`,
        details: { everywhere: true },
      });
    });
  }

  /** Ends a session and audits it. Does nothing if the session has already ended. */
  async revoke(id: string, reason: string, actor: Principal): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const entry = await this.revokeIn(manager, id, reason, actor);
      if (entry) await this.audit.append(manager, entry);
    });
  }

  /**
   * Replaces the cookie of a session after the roles of its account have changed. One of several concurrent requests
   * does it.
   * @param hash of the cookie that the request carries
   */
  async renew(id: string, hash: string, principal: Principal, request: AuthRequest): Promise<void> {
    const { value, hash: idHash } = newSessionValue();
    const renewed = await this.dataSource.transaction(async (manager) => {
      const previousUntil = new Date(Date.now() + PREVIOUS_COOKIE_GRACE_MS);
      const { affected } = await manager.update(
        Session,
        { id, idHash: hash },
        { idHash, previousHash: hash, previousUntil, roles: [...principal.roles] },
      );
      if (!affected) return false;
      await this.audit.append(manager, {
        event: 'session_renewed',
        actor: principal,
        target: `session:${id}`,
      });
      return true;
    });
    if (renewed) request.setHeader('Set-Cookie', this.cookie.set(value));
  }

  /** Deletes sessions that ended more than a day ago. */
  async cleanUp(): Promise<void> {
    const old = LessThan(new Date(Date.now() - ENDED_SESSION_RETENTION_MS));
    await this.dataSource.manager.delete(Session, [{ expiresAt: old }, { revokedAt: old }]);
  }

  /** @returns the audit entry, to append last in the same transaction; undefined if the session had already ended */
  private async revokeIn(manager: EntityManager, id: string, reason: string, actor: Principal) {
    const where = { id, revokedAt: IsNull() };
    const { affected } = await manager.update(Session, where, { revokedAt: new Date() });
    if (!affected) return undefined;
    const entry: AuditEntry = {
      event: 'session_expired',
      actor,
      target: `session:${id}`,
      details: { reason },
    };
    return entry;
  }

  /** Locks the account's row until the transaction ends, so that concurrent sign-ins respect the session limit. */
  private lockUser(manager: EntityManager, id: string): Promise<User> {
    return manager.findOneOrFail(User, {
      where: { id },
      ...(isPostgres(this.dataSource) && { lock: { mode: 'pessimistic_write' as const } }),
    });
  }
}

/** The id of the session that authenticated this request. */
export const currentSessionId = ({ proofs }: Principal) =>
  proofs.find(({ method }) => method === 'session')?.credentialId;

function newSession(principal: Principal, request: AuthRequest, epoch: number, idHash: string): Session {
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
    expiresAt: new Date(now.getTime() + ABSOLUTE_TIMEOUT_MS),
    revokedAt: null,
    userAgent: request.header('User-Agent')?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
    ip: request.ip,
  };
}
