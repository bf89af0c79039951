import { Injectable, NotFoundException } from '@nestjs/common';
import { DataSource, IsNull, MoreThan, type EntityManager, type FindOptionsWhere } from 'typeorm';
import { assertMayManageCredentials } from '../../authentication/manage-credentials.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { User } from '../../users/user.entity.js';
import { endAllSignIns } from '../../users/end-sign-ins.js';
import { Session } from './session.entity.js';
import { IDLE_MS, SessionCookie, mintSession } from './session.js';

/** How long the value before stays good, so that no request under way is refused. */
const OVERLAP_MS = 10_000;

/** The life of sessions, once they are there. */
@Injectable()
export class Sessions {
  private readonly cookie: SessionCookie;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    settings: Settings,
  ) {
    this.cookie = new SessionCookie(settings.publicUrl);
  }

  /**
   * The caller's active sessions.
   * @throws ForbiddenException `limited_credential`
   */
  async list(caller: Principal): Promise<Session[]> {
    assertMayManageCredentials(caller);
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    return this.dataSource.manager.find(Session, {
      where: live(user),
      order: { createdAt: 'DESC', id: 'ASC' },
    });
  }

  /**
   * @throws NotFoundException for a session that is not the caller's, exactly as for one that does not exist
   * @throws ForbiddenException `limited_credential`
   */
  async end(caller: Principal, id: string): Promise<void> {
    const user = await this.dataSource.manager.findOneByOrFail(User, { id: caller.id });
    const session = await this.dataSource.manager.findOneBy(Session, { ...live(user), id });
    if (!session) throw new NotFoundException({ code: 'not_found', detail: 'You have no such session.' });
    if (!isSentBy(caller, session)) assertMayManageCredentials(caller, session);
    await this.over(id, 'ended', caller);
  }

  /**
   * Logs out everywhere: ends all sign-ins of the account, whichever method keeps them.
   * @throws ForbiddenException `limited_credential`
   */
  async endAll(caller: Principal): Promise<void> {
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

  /** Ends a session that is not over yet, and writes it down; the second time nothing happens. */
  async over(id: string, reason: string, actor: Principal): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const entry = await this.close(manager, id, reason, actor);
      if (entry) await this.audit.append(manager, entry);
    });
  }

  /** @returns what is to be written down, last of all, in the same transaction; undefined where it was over already */
  async close(manager: EntityManager, id: string, reason: string, actor: Principal) {
    const { affected } = await manager.update(
      Session,
      { id, revokedAt: IsNull() },
      { revokedAt: new Date() },
    );
    const entry: AuditEntry = {
      event: 'session_expired',
      actor,
      target: `session:${id}`,
      details: { reason },
    };
    return affected ? entry : undefined;
  }

  /**
   * A new value for the same session, where its account may now do other things than when the value was made. Of
   * requests that come together, one makes it.
   */
  async renew(id: string, hash: string, principal: Principal, request: AuthRequest): Promise<void> {
    const { value, hash: idHash } = mintSession();
    const renewed = await this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.update(
        Session,
        { id, idHash: hash },
        {
          idHash,
          previousHash: hash,
          previousUntil: new Date(Date.now() + OVERLAP_MS),
          roles: [...principal.roles],
        },
      );
      if (affected)
        await this.audit.append(manager, {
          event: 'session_renewed',
          actor: principal,
          target: `session:${id}`,
        });
      return affected;
    });
    if (renewed) request.setHeader('Set-Cookie', this.cookie.set(value));
  }
}

const isSentBy = ({ proofs }: Principal, { id }: Session) =>
  proofs.some(({ method, credentialId }) => method === 'session' && credentialId === id);

/** An account's sessions that are good at this moment. */
export const live = ({ id, epoch }: User): FindOptionsWhere<Session> => ({
  userId: id,
  epoch,
  revokedAt: IsNull(),
  expiresAt: MoreThan(new Date()),
  lastSeenAt: MoreThan(new Date(Date.now() - IDLE_MS)),
});
