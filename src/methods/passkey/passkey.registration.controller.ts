import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post } from '@nestjs/common';
import { z } from 'zod';
import {
  Describe,
  Reissued,
  MANAGE_ERRORS,
  RECENT_SIGN_IN_ERRORS,
  listOf,
} from '../../authentication/describe.js';
import { FACTORS } from '../../authentication/factors.js';
import { Caller, CurrentRequest, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { assertMayChangeFactors } from '../../authentication/step-up.js';
import { SignInService } from '../../users/sign-in.service.js';
import { authenticatorName } from './passkey.authenticators.js';
import type { Passkey } from './passkey.entity.js';
import { PasskeyRegistrations } from './passkey.registration.service.js';
import { PasskeyName, PasskeyView, REGISTRATION_EXAMPLE, RegistrationResponse } from './passkey.schemas.js';

const NewPasskey = z.strictObject({ name: PasskeyName.optional(), credential: RegistrationResponse }).meta({
  id: 'PasskeyRequest',
  example: { name: 'laptop', credential: REGISTRATION_EXAMPLE },
});
const Rename = z.strictObject({ name: PasskeyName }).meta({ id: 'PasskeyName', example: { name: 'phone' } });

/** `PublicKeyCredentialCreationOptionsJSON`, for `PublicKeyCredential.parseCreationOptionsFromJSON()`. */
const CreationOptions = z
  .looseObject({ challenge: z.string(), rp: z.looseObject({}), user: z.looseObject({}) })
  .meta({ id: 'PasskeyCreationOptions' });

const view = (passkey: Passkey) =>
  PasskeyView.parse({ ...passkey, authenticator: authenticatorName(passkey.aaguid) });

/** The caller's own passkeys. */
@Controller('passkeys')
@SelfService()
@HttpsOnly()
export class PasskeyRegistrationController {
  constructor(
    private readonly passkeys: PasskeyRegistrations,
    private readonly signIns: SignInService,
  ) {}

  @Post('options')
  @Describe('Start the registration of a passkey', {
    response: CreationOptions,
    headers: ['Set-Cookie'],
    errors: RECENT_SIGN_IN_ERRORS,
  })
  @HttpCode(200)
  async startPasskeyRegistration(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    assertMayChangeFactors(caller);
    return this.passkeys.begin(caller, request);
  }

  /**
   * Registers a passkey. All other sign-ins of the account end: they have no second factor. `sign_in` is the caller's new session or
   * token, which has; it is empty if no issuer issued the one before.
   */
  @Post()
  @Describe('Register a passkey', {
    response: z.object({ passkey: PasskeyView, sign_in: Reissued }),
    headers: ['Set-Cookie'],
    errors: [
      ...RECENT_SIGN_IN_ERRORS,
      '400 duplicate_cookie',
      '400 invalid_registration',
      '409 passkey_already_registered',
      '409 too_many_credentials',
    ],
  })
  async registerPasskey(
    @Body({ schema: NewPasskey }) { name, credential }: z.output<typeof NewPasskey>,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ) {
    assertMayChangeFactors(caller);
    const { passkey, epoch } = await this.passkeys.register(caller, name, credential, request);
    const sign_in = (await this.signIns.reissue(caller, epoch, request, FACTORS.passkey.amr)) ?? {};
    return { passkey: view(passkey), sign_in };
  }

  @Get()
  @Describe('List passkeys', { response: listOf(PasskeyView), errors: ['403 limited_credential'] })
  async listPasskeys(@Caller() caller: Principal) {
    assertMayManageCredentials(caller);
    return { items: (await this.passkeys.list(caller)).map(view) };
  }

  @Patch(':id')
  @Describe('Rename a passkey', { response: PasskeyView, errors: MANAGE_ERRORS })
  async renamePasskey(
    @Param('id') id: string,
    @Body({ schema: Rename }) { name }: z.output<typeof Rename>,
    @Caller() caller: Principal,
  ) {
    assertMayManageCredentials(caller);
    return view(await this.passkeys.rename(caller, id, name));
  }

  /** Removes a passkey and ends all other sign-ins of the account. Responds with a new session or token for the caller. */
  @Delete(':id')
  @Describe('Remove a passkey', {
    response: Reissued,
    headers: ['Set-Cookie'],
    errors: [...RECENT_SIGN_IN_ERRORS, '404 not_found', '409 last_sign_in_method'],
  })
  async removePasskey(
    @Param('id') id: string,
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    assertMayChangeFactors(caller);
    const epoch = await this.passkeys.remove(caller, id);
    return (await this.signIns.reissue(caller, epoch, request)) ?? {};
  }
}
