import { Injectable } from '@nestjs/common';
import { DataSource, IsNull, Not, type EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import { MailService } from '../../mail/mail.service.js';
import { UserEmail } from '../../users/user-email.entity.js';
import { parseCode } from './magic-link.js';
import { MagicLinkLimits } from './magic-link.limits.service.js';
import { stepUpMail } from './magic-link.mails.js';
import { PendingSignIns } from './magic-link.pending-sign-ins.service.js';

/** A code by mail, for step-ups of accounts without a second factor. The code of a sign-in does not step up, nor the reverse. */
@Injectable()
export class MagicLinkFactor implements Factor {
  readonly responseField = 'code';

  constructor(
    private readonly dataSource: DataSource,
    private readonly pending: PendingSignIns,
    private readonly limits: MagicLinkLimits,
    private readonly mails: MailService,
  ) {}

  isEnrolled(manager: EntityManager, userId: string): Promise<boolean> {
    return manager.existsBy(UserEmail, { userId, verifiedAt: Not(IsNull()) });
  }

  /**
   * Sends the code.
   * @throws TooManyAttempts
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  async begin(accountId: string, { ip }: AuthRequest): Promise<object> {
    this.mails.assertAvailable();
    const { address, user } = await this.dataSource.manager.findOneOrFail(UserEmail, {
      where: { userId: accountId, verifiedAt: Not(IsNull()) },
      relations: { user: true },
    });
    // The mailbox has one limit for all purposes.
    await this.limits.countRequest(ip, this.pending.mailboxOf('sign-in', address));
    const { code } = await this.pending.create(this.pending.mailboxOf('step-up', accountId), user);
    this.mails.send(stepUpMail(address, code));
    return {};
  }

  /** @throws BadCredential `invalid_factor` */
  async verify(accountId: string, { code = '' }: FactorResponse) {
    const found = await this.pending.useCode(this.pending.mailboxOf('step-up', accountId), parseCode(code));
    if (!found) throw new BadCredential('invalid_factor', 'wrong, used, replaced or expired code');
    return { amr: FACTORS['magic-link'].amr };
  }
}
