import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { DataSource, LessThan, type EntityManager } from 'typeorm';
import { AuditEvent } from '../audit/audit-event.entity.js';
import { AuditPort, NoticePort, type SecurityNotice } from '../authentication/ports.js';
import { networkOf } from '../config/network.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { MailService } from '../mail/mail.service.js';
import { UserEmail } from '../users/user-email.entity.js';
import { User } from '../users/user.entity.js';
import { KnownNetwork } from './known-network.entity.js';
import { mailedRequest, noticeMail, type MailedRequest } from './mails.js';

const DAY_MS = 24 * 60 * 60_000;
const KNOWN_NETWORK_LIFETIME_MS = 180 * DAY_MS;
/** Failed attempts that are worth a mail, among the last events of an account: it may have many. */
const FAILURES = { atLeast: 5, withinMs: 60 * 60_000, withinEvents: 100 } as const;

/** Mails security events to the verified address of the account. Accounts without one get no mail. */
@Injectable()
export class NoticesService extends HourlyCleanup implements NoticePort, BeforeApplicationShutdown {
  private readonly running = new Set<Promise<void>>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly mails: MailService,
    private readonly audit: AuditPort,
  ) {
    super();
  }

  send(accountId: string, notice: SecurityNotice): void {
    const request = mailedRequest();
    this.inBackground(() => this.mailNotice(accountId, notice, request));
  }

  /**
   * Reports a sign-in from an unknown network, and one after failed attempts, which may have guessed the password or the code. The first
   * network of an account is not reported: its holder has just registered.
   */
  signedIn(accountId: string): void {
    const request = mailedRequest();
    this.inBackground(async () => {
      const failures = await this.failuresBefore(accountId);
      if (failures >= FAILURES.atLeast) await this.mailNotice(accountId, 'sign_in_after_failures', request);
    });
    if (request.ip === undefined) return;
    const network = networkOf(request.ip);
    this.inBackground(async () => {
      const isNew = await remember(this.dataSource.manager, accountId, network);
      if (isNew) await this.mailNotice(accountId, 'new_device', request);
    });
  }

  /** Resolves when no notice is in progress. */
  async flush(): Promise<void> {
    while (this.running.size) await Promise.all(this.running);
  }

  /** Before the database closes. */
  beforeApplicationShutdown(): Promise<void> {
    return this.flush();
  }

  /** Keeps the last network of each account, so that a sign-in from elsewhere is reported after any time. */
  async cleanUp(): Promise<void> {
    const { manager } = this.dataSource;
    const old = { seenAt: LessThan(new Date(Date.now() - KNOWN_NETWORK_LIFETIME_MS)) };
    for (const { userId, network, seenAt } of await manager.findBy(KnownNetwork, old)) {
      const newest = await manager.findOne(KnownNetwork, { where: { userId }, order: { seenAt: 'DESC' } });
      if (newest?.network !== network) await manager.delete(KnownNetwork, { userId, network, seenAt });
    }
  }

  /** Counts the failed attempts since they were reported last, and records them if they are many. */
  private async failuresBefore(id: string): Promise<number> {
    const user = await this.dataSource.manager.findOneBy(User, { id });
    if (!user) return 0;
    const { tenantId } = user;
    const events = await this.dataSource.manager.find(AuditEvent, {
      select: { seq: true, event: true, at: true },
      where: { tenantId, userId: id },
      order: { seq: 'DESC' },
      take: FAILURES.withinEvents,
    });
    const reported = events.findIndex(({ event }) => event === 'authn_login_successafterfail');
    const since = Date.now() - FAILURES.withinMs;
    const failures = events
      .slice(0, reported < 0 ? undefined : reported)
      .filter(({ event, at }) => event === 'authn_login_fail' && at.getTime() > since).length;
    if (failures >= FAILURES.atLeast)
      await this.audit.record({
        event: 'authn_login_successafterfail',
        actor: { id, tenantId },
        details: { failures },
      });
    return failures;
  }

  private async mailNotice(userId: string, notice: SecurityNotice, request: MailedRequest): Promise<void> {
    const email = await this.dataSource.manager.findOne(UserEmail, {
      where: { userId },
      relations: { user: true },
    });
    if (!email?.verifiedAt || !email.user) return;
    this.mails.send({ to: email.address, ...noticeMail(notice, email.user.username, request) });
  }

  private inBackground(work: () => Promise<void>): void {
    const run = work()
      .catch((error: unknown) => this.logger.error(error))
      .finally(() => this.running.delete(run));
    this.running.add(run);
  }
}

/** @returns whether the account has used other networks only */
async function remember(manager: EntityManager, userId: string, network: string): Promise<boolean> {
  const known = await manager.findOneBy(KnownNetwork, { userId, network });
  if (known && known.seenAt.getTime() >= Date.now() - DAY_MS) return false;
  if (known) {
    await manager.update(KnownNetwork, { userId, network }, { seenAt: new Date() });
    return false;
  }
  const hasOthers = await manager.existsBy(KnownNetwork, { userId });
  const row = { userId, network, seenAt: new Date() };
  await manager.createQueryBuilder().insert().into(KnownNetwork).values(row).orIgnore().execute();
  return hasOthers;
}
