import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS, UNVERIFIED_PASSKEY_AMR } from '../../authentication/factors.js';
import type { Factor, FactorResponse } from '../../authentication/method.js';
import type { AuthRequest } from '../../authentication/request.js';
import { invalidField } from '../../users/account-factors.service.js';
import { PASSKEY_SCRIPT_PATH } from './passkey.browser.js';
import { PasskeyAssertions, type ProvenPasskey } from './passkey.assertions.service.js';
import type { PendingChallenge } from './passkey.challenges.service.js';
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

  async remove(manager: EntityManager, userId: string): Promise<void> {
    await manager.delete(Passkey, { userId });
  }

  begin(accountId: string, request: AuthRequest): Promise<object> {
    return this.assertions.requestOf(accountId, request);
  }

  /**
   * @throws BadCredential `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   */
  async verify(accountId: string, { credential }: FactorResponse, request: AuthRequest) {
    const { passkey, userVerified } = await orInvalidFactor(
      this.assertions.verify(
        'second-factor',
        parse(credential),
        request,
        (pending, user) => pending.accountId === accountId && user.id === accountId,
      ),
    );
    return { amr: userVerified ? FACTORS.passkey.amr : UNVERIFIED_PASSKEY_AMR, credentialId: passkey.id };
  }

  beginAlone(request: AuthRequest): Promise<object> {
    return this.assertions.requestAny(undefined, request);
  }

  /**
   * @throws BadCredential `invalid_factor`
   * @throws UnprocessableEntityException `invalid_body`
   */
  async verifyAlone({ credential }: FactorResponse, request: AuthRequest) {
    const isExpected = ({ username }: PendingChallenge) => username === undefined;
    const proof = this.assertions.verify('sign-in', parse(credential), request, isExpected);
    const { passkey, user } = await orInvalidFactor(proof);
    return { accountId: user.id, epoch: user.epoch, amr: FACTORS.passkey.amr, credentialId: passkey.id };
  }
}

/** @throws UnprocessableEntityException `invalid_body` */
function parse(credential: FactorResponse['credential']): AssertionResponse {
  const parsed = AssertionResponse.safeParse(credential);
  if (parsed.success) return parsed.data;
  throw invalidField('credential', 'Must be an AuthenticationResponseJSON.');
}

/** @throws BadCredential `invalid_factor` */
async function orInvalidFactor(proof: Promise<ProvenPasskey>): Promise<ProvenPasskey> {
  try {
    return await proof;
  } catch (error) {
    if (!(error instanceof InvalidPasskeyResponse)) throw error;
    const invalid = new BadCredential('invalid_factor', error.message);
    throw error.account ? invalid.ofAccount(error.account) : invalid;
  }
}
