import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, IsNull, LessThan, MoreThan, Not, type EntityManager } from 'typeorm';
import { renderSVG } from 'uqr';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import { AuditPort, LastUsedPort, NoticePort, type AuditEntry } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { assertMayChangeFactors } from '../../authentication/step-up.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { AccountFactors, invalidField } from '../../users/account-factors.service.js';
import { User } from '../../users/user.entity.js';
import { TotpSecret } from './totp.entity.js';
import { newTotpSecret, stepOfCode, totpUri } from './totp.js';

const PENDING_LIFETIME_MS = 10 * 60_000;

/** An enrolment that waits for its first code. Contains the secret, which is shown once. */
export interface TotpEnrolment {
  readonly secret: string;
  readonly uri: string;
  /** The URI as an SVG image. */
  readonly qr: string;
}

/** Enrols authenticator apps, and verifies their codes. */
@Injectable()
export class TotpService extends HourlyCleanup implements Factor {
  readonly responseField = 'code';

  constructor(
    private readonly dataSource: DataSource,
    private readonly box: SecretBox,
    private readonly factors: AccountFactors,
    private readonly audit: AuditPort,
    private readonly lastUsed: LastUsedPort,
    private readonly notices: NoticePort,
  ) {
    super();
  }

  isEnrolled(manager: EntityManager, userId: string): Promise<boolean> {
    return manager.existsBy(TotpSecret, { userId, confirmedAt: Not(IsNull()) });
  }

  /**
   * Creates a secret, which replaces one that waits for its first code. The account's confirmed app stays valid.
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   */
  async enrol(caller: Principal): Promise<TotpEnrolment> {
    assertMayChangeFactors(caller);
    const [id, secret] = [randomUUID(), newTotpSecret()];
    const row = { id, userId: caller.id, lastStep: 0, createdAt: new Date(), confirmedAt: null };
    const user = await this.dataSource.transaction(async (manager) => {
      await manager.delete(TotpSecret, { userId: caller.id, confirmedAt: IsNull() });
      await manager.insert(TotpSecret, { ...row, sealed: this.box.seal(secret, ownerOf(row)) });
      return manager.findOneByOrFail(User, { id: caller.id });
    });
    return enrolmentOf(secret, user);
  }

  /**
   * The secret that waits for its first code, for a page that shows it again after a wrong one.
   * @throws ConflictException `totp_not_pending`
   */
  async pending(caller: Principal): Promise<TotpEnrolment> {
    assertMayChangeFactors(caller);
    const { manager } = this.dataSource;
    const row = await findPending(manager, caller.id);
    const user = await manager.findOneByOrFail(User, { id: caller.id });
    return enrolmentOf(this.box.open(row.sealed, ownerOf(row)), user);
  }

  /**
   * Confirms the pending secret by a code of the app, which replaces the app before. All sign-ins of the account end.
   * @returns the account's new epoch
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   * @throws ConflictException `totp_not_pending`
   * @throws UnprocessableEntityException `invalid_body` for a wrong code
   */
  async confirm(caller: Principal, code: string): Promise<number> {
    assertMayChangeFactors(caller);
    const epoch = await this.dataSource.transaction(async (manager) => {
      // Concurrent confirmations wait here, so that one secret remains.
      await this.factors.lock(manager, caller.id);
      const pending = await findPending(manager, caller.id);
      const step = stepOfCode(this.box.open(pending.sealed, ownerOf(pending)), code, Date.now());
      if (step === undefined) throw invalidField('code', 'Not the current code of the app.');
      await manager.delete(TotpSecret, { userId: caller.id, id: Not(pending.id) });
      await manager.update(TotpSecret, { id: pending.id }, { confirmedAt: new Date(), lastStep: step });
      const changed = await this.factors.changed(manager, caller.id);
      await this.audit.append(manager, event('authn_token_created', caller, pending.id));
      return changed;
    });
    this.notices.send(caller.id, 'factor_added');
    return epoch;
  }

  async remove(manager: EntityManager, userId: string): Promise<void> {
    await manager.delete(TotpSecret, { userId });
  }

  /** The account's confirmed app. */
  find(userId: string): Promise<TotpSecret | null> {
    return this.dataSource.manager.findOneBy(TotpSecret, { userId, confirmedAt: Not(IsNull()) });
  }

  /**
   * Removes the account's app. All sign-ins of the account end.
   * @returns the account's new epoch
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   * @throws NotFoundException if the account has no app
   */
  async removeApp(caller: Principal): Promise<number> {
    assertMayChangeFactors(caller);
    const epoch = await this.dataSource.transaction(async (manager) => {
      await this.factors.lock(manager, caller.id);
      const app = await manager.findOneBy(TotpSecret, { userId: caller.id, confirmedAt: Not(IsNull()) });
      const { affected } = await manager.delete(TotpSecret, { id: app?.id ?? '' });
      if (!app || !affected)
        throw new NotFoundException({ code: 'not_found', detail: 'The account has no authenticator app.' });
      const changed = await this.factors.changed(manager, caller.id);
      await this.audit.append(manager, event('authn_token_revoked', caller, app.id));
      return changed;
    });
    this.notices.send(caller.id, 'factor_removed');
    return epoch;
  }

  /**
   * Accepts each code once, and none of a step before the last accepted one. The row decides between concurrent requests.
   * @throws BadCredential `invalid_factor`
   */
  async verify(userId: string, { code = '' }: FactorResponse) {
    const app = await this.find(userId);
    if (!app) throw invalidFactor('the account has no authenticator app');
    const step = stepOfCode(this.box.open(app.sealed, ownerOf(app)), code, Date.now());
    if (step === undefined) throw invalidFactor('wrong code');
    const where = { id: app.id, lastStep: LessThan(step) };
    const { affected } = await this.dataSource.manager.update(TotpSecret, where, { lastStep: step });
    if (!affected) throw invalidFactor('a code of this time step or of a later one was used');
    this.lastUsed.touch(TotpSecret, 'lastUsedAt', app.id, app.lastUsedAt);
    return { amr: FACTORS.totp.amr, credentialId: app.id };
  }

  /** Deletes secrets that were never confirmed. */
  async cleanUp(): Promise<void> {
    const createdAt = LessThan(new Date(Date.now() - PENDING_LIFETIME_MS));
    await this.dataSource.manager.delete(TotpSecret, { confirmedAt: IsNull(), createdAt });
  }
}

/** @throws ConflictException `totp_not_pending` */
async function findPending(manager: EntityManager, userId: string): Promise<TotpSecret> {
  const createdAt = MoreThan(new Date(Date.now() - PENDING_LIFETIME_MS));
  const row = await manager.findOneBy(TotpSecret, { userId, confirmedAt: IsNull(), createdAt });
  if (!row) throw notPending();
  return row;
}

function enrolmentOf(secret: string, { username }: User): TotpEnrolment {
  const uri = totpUri(secret, username);
  return { secret, uri, qr: renderSVG(uri) };
}

/** Binds the secret to its account, too: a row moved to another account cannot be read. */
const ownerOf = ({ id, userId }: Pick<TotpSecret, 'id' | 'userId'>): string => `${userId}/${id}`;

const event = (name: AuditEntry['event'], actor: Principal, id: string): AuditEntry => ({
  event: name,
  actor,
  target: `totp:${id}`,
});

const invalidFactor = (reason: string) => new BadCredential('invalid_factor', reason);

const notPending = () =>
  new ConflictException({
    code: 'totp_not_pending',
    detail: 'No secret waits for its first code, or it has expired. Start again at POST /totp.',
  });
