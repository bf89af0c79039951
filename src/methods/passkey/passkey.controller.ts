import { Body, Controller, Get, Header, HttpCode, Inject, Post } from '@nestjs/common';
import { z } from 'zod';
import { Describe, ExcludeFromOpenApi, Issued, IssuerName, text } from '../../authentication/describe.js';
import { CurrentRequest, HttpsOnly, Public } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import { ScopeParameter } from '../../permissions.js';
import { SignInService } from '../../users/sign-in.service.js';
import { PASSKEY_SCRIPT_PATH, enablePasskeyForms } from './passkey.browser.js';
import { passkeyConfig, type PasskeyConfig } from './passkey.config.js';
import { ASSERTION_EXAMPLE, AssertionResponse } from './passkey.schemas.js';
import { PasskeyService } from './passkey.service.js';

const SignInOptions = z
  .strictObject({
    /** An invalid username is handled as an unknown one. */
    username: text(256).optional(),
  })
  .meta({ id: 'PasskeySignInOptions', example: {} })
  .prefault({});

const PasskeySignIn = z
  .strictObject({
    credential: AssertionResponse,
    as: IssuerName,
    scope: ScopeParameter.optional(),
  })
  .meta({ id: 'PasskeySignIn', example: { credential: ASSERTION_EXAMPLE, as: 'jwt' } });

/** `PublicKeyCredentialRequestOptionsJSON`, for `PublicKeyCredential.parseRequestOptionsFromJSON()`. */
const RequestOptions = z
  .looseObject({ challenge: z.string(), rpId: z.string(), userVerification: z.string() })
  .meta({ id: 'PasskeyRequestOptions' });

/** Sign-ins with a passkey. */
@Controller()
@Public()
export class PasskeyController {
  constructor(
    private readonly passkeys: PasskeyService,
    private readonly signIns: SignInService,
    @Inject(passkeyConfig.KEY) private readonly config: PasskeyConfig,
  ) {}

  /** Starts a sign-in. The browser offers the passkeys of this site; with `username`, only those of that account sign in. */
  @Post('auth/passkey/options')
  @Describe('Start a sign-in with a passkey', { response: RequestOptions, headers: ['Set-Cookie'] })
  @HttpsOnly()
  @HttpCode(200)
  startPasskeySignIn(
    @Body({ schema: SignInOptions }) { username }: z.output<typeof SignInOptions>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    return this.passkeys.begin(username, request);
  }

  /** Signs in, and returns the response of the issuer that `as` names. */
  @Post('auth/passkey')
  @Describe('Sign in with a passkey', {
    response: Issued,
    headers: ['Set-Cookie'],
    errors: ['400 duplicate_cookie', '401 invalid_passkey', '403 invalid_csrf_token'],
  })
  @HttpsOnly()
  @HttpCode(200)
  signInWithPasskey(
    @Body({ schema: PasskeySignIn }) { credential, as, scope }: z.output<typeof PasskeySignIn>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    return this.passkeys.signIn(credential, this.signIns.issuerNamed(as), scope, request);
  }

  /** The other origins whose pages may use this site's passkeys (section 5.11, related origin requests). */
  @Get('.well-known/webauthn')
  @Describe('List the origins that may use the passkeys', {
    response: z.object({ origins: z.array(z.string()) }),
  })
  @Header('Cache-Control', 'public, max-age=300')
  listPasskeyOrigins() {
    return { origins: this.config.webOrigins };
  }

  @Get(PASSKEY_SCRIPT_PATH)
  @ExcludeFromOpenApi()
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  @Header('Cache-Control', 'public, max-age=3600')
  passkeyScript(): string {
    return `(${enablePasskeyForms.toString()})();\n`;
  }
}
