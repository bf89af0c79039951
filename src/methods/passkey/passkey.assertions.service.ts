import { Inject, Injectable } from '@nestjs/common';
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { DataSource } from 'typeorm';
import type { AuthRequest } from '../../authentication/request.js';
import type { User } from '../../users/user.entity.js';
import {
  CHALLENGE_LIFETIME_SECONDS,
  PasskeyChallenges,
  type PendingChallenge,
} from './passkey.challenges.service.js';
import { passkeyConfig, type PasskeyConfig } from './passkey.config.js';
import { Passkey, PasskeyUserHandle } from './passkey.entity.js';
import { InvalidPasskeyResponse, bytesOf, loadLibrary, verifyAssertion } from './passkey.js';
import type { AssertionResponse } from './passkey.schemas.js';

/** A passkey that has signed a challenge, with its account, read before the proof was checked. */
export interface ProvenPasskey {
  readonly passkey: Passkey;
  readonly user: User;
  readonly userVerified: boolean;
}

/** Requests and verifies the signatures of passkeys. */
@Injectable()
export class PasskeyAssertions {
  constructor(
    private readonly dataSource: DataSource,
    private readonly challenges: PasskeyChallenges,
    @Inject(passkeyConfig.KEY) private readonly config: PasskeyConfig,
  ) {}

  /** The options of a sign-in with any passkey of the person: the list is empty, so the browser offers those that it finds. */
  requestAny(
    username: string | undefined,
    request: AuthRequest,
  ): Promise<PublicKeyCredentialRequestOptionsJSON> {
    const purpose = { purpose: 'sign-in', ...(username !== undefined && { username }) } as const;
    return this.options(this.challenges.create(purpose, request), 'required', []);
  }

  /** The options of a second factor or a step-up with a passkey of the account. */
  async requestOf(accountId: string, request: AuthRequest): Promise<PublicKeyCredentialRequestOptionsJSON> {
    const passkeys = await this.dataSource.manager.findBy(Passkey, { userId: accountId });
    const challenge = this.challenges.create({ purpose: 'second-factor', accountId }, request);
    return this.options(challenge, 'preferred', passkeys);
  }

  /**
   * @param isExpected whether the challenge is for this account and allows this passkey
   * @throws InvalidPasskeyResponse
   */
  async verify(
    purpose: 'sign-in' | 'second-factor',
    response: AssertionResponse,
    request: AuthRequest,
    isExpected: (pending: PendingChallenge, user: User) => boolean,
  ): Promise<ProvenPasskey> {
    const pending = this.challenges.read(purpose, request);
    const passkey = await this.dataSource.manager.findOne(Passkey, {
      where: { credentialId: response.id },
      relations: { user: true },
    });
    if (!passkey?.user) throw new InvalidPasskeyResponse('no account has this passkey');
    const { user } = passkey;
    try {
      if (!isExpected(pending, user))
        throw new InvalidPasskeyResponse('the challenge is for another account');
      await this.assertUserHandle(passkey, response.response.userHandle, purpose === 'sign-in');
      const { userVerified, newCounter, credentialBackedUp } = await verifyAssertion(
        this.config,
        pending.challenge,
        passkey,
        response,
        purpose === 'sign-in',
      );
      await this.challenges.use(pending, request);
      await this.storeUse(passkey, newCounter, credentialBackedUp);
      return { passkey, user, userVerified };
    } catch (error) {
      if (error instanceof InvalidPasskeyResponse) error.account = user;
      throw error;
    }
  }

  private async options(
    challenge: string,
    userVerification: 'required' | 'preferred',
    passkeys: readonly Passkey[],
  ): Promise<PublicKeyCredentialRequestOptionsJSON> {
    const { generateAuthenticationOptions } = await loadLibrary();
    return generateAuthenticationOptions({
      rpID: this.config.rpId,
      challenge: bytesOf(challenge),
      timeout: CHALLENGE_LIFETIME_SECONDS * 1000,
      userVerification,
      allowCredentials: passkeys.map(({ credentialId: id, transports }) => ({ id, transports })),
    });
  }

  /** Authenticators send the user handle of discoverable passkeys, which a sign-in needs (section 7.2 step 6). */
  private async assertUserHandle(
    { userId }: Passkey,
    sent: string | undefined,
    isRequired: boolean,
  ): Promise<void> {
    if (sent === undefined && !isRequired) return;
    const stored = await this.dataSource.manager.findOneByOrFail(PasskeyUserHandle, { userId });
    if (sent !== stored.handle) throw new InvalidPasskeyResponse('the user handle is of another account');
  }

  /**
   * Stores the signature counter. The row decides, so that of two signatures with the same counter one is accepted.
   * @throws InvalidPasskeyResponse if the counter has not increased: a copy of the key exists (section 6.1.1)
   */
  private async storeUse({ id }: Passkey, counter: number, backedUp: boolean): Promise<void> {
    const { affected } = await this.dataSource.manager
      .createQueryBuilder()
      .update(Passkey)
      .set({ counter, backedUp, lastUsedAt: new Date() })
      .where('id = :id', { id })
      // An authenticator without a counter always sends 0.
      .andWhere('(counter < :counter OR (counter = 0 AND :counter = 0))', { counter })
      .execute();
    if (!affected)
      throw new InvalidPasskeyResponse(
        `the passkey ${id} was removed, or its counter has not increased: a copy may exist`,
      );
  }
}
