import { Injectable } from '@nestjs/common';
import { BadCredential } from '../../authentication/challenge.js';
import { FACTORS } from '../../authentication/factors.js';
import type { MethodName } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { SignInService } from '../../users/sign-in.service.js';
import { normalizeUsername } from '../../users/username.js';
import { PasskeyAssertions, type ProvenPasskey } from './passkey.assertions.service.js';
import { InvalidPasskeyResponse } from './passkey.js';
import type { AssertionResponse } from './passkey.schemas.js';

/** Signs in with a passkey as the only proof. */
@Injectable()
export class PasskeyService {
  constructor(
    private readonly assertions: PasskeyAssertions,
    private readonly signIns: SignInService,
  ) {}

  /**
   * The options of a sign-in. They are the same for every username, so they reveal no account.
   * @param username the only account that may sign in; absent: any
   */
  begin(username: string | undefined, request: AuthRequest): Promise<object> {
    return this.assertions.requestAny(username, request);
  }

  /**
   * @returns the body of the issuer's response
   * @throws Unauthenticated `invalid_passkey` with the challenge of the issuer's method
   */
  async signIn(
    response: AssertionResponse,
    as: MethodName,
    scopes: readonly string[] | undefined,
    request: AuthRequest,
  ): Promise<object> {
    const at = new Date();
    try {
      const { passkey, user } = await this.verify(response, request);
      const { amr } = FACTORS.passkey;
      return await this.signIns.complete(
        {
          user,
          method: 'passkey',
          credentialId: passkey.id,
          at,
          amr,
          as,
          scopes,
          rejectedAs: 'invalid_passkey',
        },
        request,
      );
    } catch (error) {
      throw error instanceof BadCredential ? await this.signIns.rejection(error, as, 'passkey') : error;
    }
  }

  private async verify(response: AssertionResponse, request: AuthRequest): Promise<ProvenPasskey> {
    try {
      return await this.assertions.verify(
        'sign-in',
        response,
        request,
        ({ username }, user) => username === undefined || normalizeUsername(username) === user.username,
      );
    } catch (error) {
      if (!(error instanceof InvalidPasskeyResponse)) throw error;
      const rejected = new BadCredential('invalid_passkey', error.message);
      throw error.account ? rejected.ofAccount(error.account) : rejected;
    }
  }
}
