import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS, UNVERIFIED_PASSKEY_AMR } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import { invalidField } from '../../users/account-factors.service.js';
import { PASSKEY_SCRIPT_PATH } from './passkey.browser.js';
import { PasskeyAssertions } from './passkey.assertions.service.js';
import { Passkey } from './passkey.entity.js';
import { InvalidPasskeyResponse } from './passkey.js';
import { AssertionResponse } from './passkey.schemas.js';

/** A passkey as second factor, and for step-ups. */
@Injectable()
export class PasskeyFactor implements Factor {
  readonly responseField = 'credential';
  readonly script = PASSKEY_SCRIPT_PATH;

  constructor(private readonly assertions: PasskeyAssertions) {}

  isEnrolled(manager: EntityManager, userId: string): Promise<boolean> {
    return manager.existsBy(Passkey, { userId });
  }

  begin(accountId: string, request: AuthRequest): Promise<object> {
    return this.assertions.requestOf(accountId, request);
  }

  /**
   * @throws BadCredential `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   */
  async verify(accountId: string, { credential }: FactorResponse, request: AuthRequest) {
    const parsed = AssertionResponse.safeParse(credential);
    if (!parsed.success) throw invalidField('credential', 'Must be an AuthenticationResponseJSON.');
    try {
      const { passkey, userVerified } = await this.assertions.verify(
        'second-factor',
        parsed.data,
        request,
        (pending, user) => pending.accountId === accountId && user.id === accountId,
      );
      return { amr: userVerified ? FACTORS.passkey.amr : UNVERIFIED_PASSKEY_AMR, credentialId: passkey.id };
    } catch (error) {
      if (error instanceof InvalidPasskeyResponse) throw new BadCredential('invalid_factor', error.message);
      throw error;
    }
  }
}
