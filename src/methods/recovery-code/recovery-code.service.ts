import { ConflictException, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, In, IsNull, type EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import { AuditPort, NoticePort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { assertMayChangeFactors } from '../../authentication/step-up.js';
import { Settings } from '../../config/settings.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';
import { AccountFactors } from '../../users/account-factors.service.js';
import { User } from '../../users/user.entity.js';
import { RecoveryCode } from './recovery-code.entity.js';
import { CODES_PER_SET, newRecoveryCode, normalizeRecoveryCode, recoveryCodeMac } from './recovery-code.js';

/** Creates sets of recovery codes, and verifies codes. */
@Injectable()
export class RecoveryCodeService implements Factor {
  readonly responseField = 'code';
  readonly isBackup = true;
  private readonly keys: DerivedKeys;

  constructor(
    settings: Settings,
    private readonly dataSource: DataSource,
    private readonly factors: AccountFactors,
    private readonly audit: AuditPort,
    private readonly notices: NoticePort,
  ) {
    this.keys = new DerivedKeys(settings, 'recovery codes');
  }

  isEnrolled(manager: EntityManager, userId: string): Promise<boolean> {
    return manager.existsBy(RecoveryCode, { userId, usedAt: IsNull() });
  }

  async remove(manager: EntityManager, userId: string): Promise<void> {
    await manager.delete(RecoveryCode, { userId });
  }

  /** The number of unused codes of the account, and the time of their creation. */
  async count(userId: string): Promise<{ unused: number; createdAt: Date | null }> {
    const codes = await this.dataSource.manager.findBy(RecoveryCode, { userId });
    return {
      unused: codes.filter(({ usedAt }) => !usedAt).length,
      createdAt: codes[0]?.createdAt ?? null,
    };
  }

  /**
   * Creates a set of codes, which replaces the set before. They are shown once.
   * @throws ForbiddenException `limited_credential`
   * @throws InsufficientCredential `reauthentication_required`
   * @throws ConflictException `no_second_factor`
   */
  async create(caller: Principal): Promise<string[]> {
    assertMayChangeFactors(caller);
    const codes = Array.from({ length: CODES_PER_SET }, newRecoveryCode);
    const row = { userId: caller.id, createdAt: new Date(), usedAt: null };
    await this.dataSource.transaction(async (manager) => {
      // So that of concurrent requests one set remains.
      await this.factors.lock(manager, caller.id);
      const { mfaSince } = await manager.findOneByOrFail(User, { id: caller.id });
      if (!mfaSince) throw noSecondFactor();
      await manager.delete(RecoveryCode, { userId: caller.id });
      const macs = codes.map((code) => this.macOf(caller.id, normalizeRecoveryCode(code)!)[0]!);
      await manager.insert(
        RecoveryCode,
        macs.map((mac) => ({ ...row, id: randomUUID(), mac })),
      );
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `user:${caller.id}`,
        details: { recoveryCodes: codes.length },
      });
    });
    return codes;
  }

  /**
   * Uses a code up. The row decides between concurrent requests.
   * @throws BadCredential `invalid_factor`
   */
  async verify(userId: string, { code: text = '' }: FactorResponse) {
    const code = normalizeRecoveryCode(text);
    if (code === undefined) throw invalidFactor('not in the form of a recovery code');
    const where = { userId, mac: In(this.macOf(userId, code)), usedAt: IsNull() };
    const { affected } = await this.dataSource.manager.update(RecoveryCode, where, { usedAt: new Date() });
    if (!affected) throw invalidFactor('an unknown or used recovery code');
    this.notices.send(userId, 'recovery_code_used');
    return { amr: FACTORS['recovery-code'].amr };
  }

  /** With the current key, then with the previous one. */
  private macOf(userId: string, code: string): string[] {
    return this.keys.all.map((key) => recoveryCodeMac(key, userId, code));
  }
}

const invalidFactor = (reason: string) => new BadCredential('invalid_factor', reason);

const noSecondFactor = () =>
  new ConflictException({
    code: 'no_second_factor',
    detail: 'Recovery codes replace a second factor. Set one up first.',
  });
