import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Password } from '../../passwords/password.entity.js';
import { PasswordsService } from '../../passwords/passwords.service.js';
import { User } from '../../users/user.entity.js';

/** The password, for step-ups of accounts without a second factor. */
@Injectable()
export class PasswordFactor implements Factor {
  readonly responseField = 'password';

  constructor(
    private readonly dataSource: DataSource,
    private readonly passwords: PasswordsService,
  ) {}

  isEnrolled(manager: EntityManager, userId: string): Promise<boolean> {
    return manager.existsBy(Password, { userId });
  }

  /** @throws BadCredential `invalid_factor` */
  async verify(accountId: string, { password = '' }: FactorResponse, { ip }: AuthRequest) {
    const { username } = await this.dataSource.manager.findOneByOrFail(User, { id: accountId });
    try {
      await this.passwords.verify(username, password, ip);
    } catch (error) {
      if (error instanceof BadCredential) throw new BadCredential('invalid_factor', error.reason);
      throw error;
    }
    return { amr: FACTORS.password.amr };
  }
}
