import { Body, Controller, HttpCode, HttpStatus, Post, Res } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Describe, Issued, IssuerName, text } from '../../authentication/describe.js';
import { Caller, CurrentRequest, Public, HttpsOnly, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { SignInService } from '../../users/sign-in.service.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordLoginService } from './password.service.js';
import { ScopeParameter } from '../../permissions.js';

/** Characters. Above the limit of the policy, so the response reveals nothing about an account. */
const MAX_PASSWORD_INPUT_LENGTH = 1024;
const PasswordInput = text(MAX_PASSWORD_INPUT_LENGTH);

const LoginBody = z
  .strictObject({
    // An invalid username is handled as an unknown one, so that the responses do not differ.
    username: text(256),
    password: PasswordInput,
    as: IssuerName,
    scope: ScopeParameter.optional(),
  })
  .meta({
    id: 'Login',
    example: { username: 'bob', password: 'correct-horse-battery-staple', as: 'jwt' },
  });

const ChangeBody = z.strictObject({ current_password: PasswordInput, new_password: PasswordInput }).meta({
  id: 'PasswordChange',
  example: { current_password: 'correct-horse-battery-staple', new_password: 'a-new-long-passphrase' },
});

const LOGIN_ERRORS = ['429 too_many_attempts', '503 temporarily_unavailable'] as const;

@Controller('auth')
export class PasswordController {
  constructor(
    private readonly signIns: SignInService,
    private readonly login: PasswordLoginService,
    private readonly change: PasswordChangeService,
    private readonly host: HttpAdapterHost,
  ) {}

  /** Signs in, and returns the response of the issuer that `as` names. */
  @Post('login')
  @Describe('Sign in with a password', {
    response: Issued,
    headers: ['Set-Cookie'],
    errors: [
      ...LOGIN_ERRORS,
      '400 duplicate_cookie',
      '401 invalid_credentials',
      '401 mfa_required',
      '403 invalid_csrf_token',
    ],
  })
  @Public()
  @HttpsOnly()
  @HttpCode(200)
  logIn(
    @Body({ schema: LoginBody }) { as, scope, ...login }: z.output<typeof LoginBody>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const issuer = this.signIns.issuerNamed(as);
    return this.login.signIn({ ...login, ...(scope && { scopes: scope }) }, issuer, request);
  }

  /**
   * Changes the caller's password. All sign-ins of the account end. If the caller's credential has an issuer, the
   * response contains a new one.
   */
  @Post('password')
  @Describe('Change the password', {
    response: Issued,
    alternatives: { 204: undefined },
    headers: ['Set-Cookie'],
    errors: [
      ...LOGIN_ERRORS,
      '403 incorrect_password',
      '403 limited_credential',
      '404 password_not_set',
      '409 concurrent_password_change',
    ],
  })
  @SelfService()
  @HttpsOnly()
  @HttpCode(200)
  async changePassword(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: ChangeBody }) { current_password, new_password }: z.output<typeof ChangeBody>,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<object | undefined> {
    const epoch = await this.change.change(caller, current_password, new_password, request.ip);
    const issued = await this.signIns.reissue(caller, epoch, request);
    if (issued) return issued;
    this.host.httpAdapter.status(response, HttpStatus.NO_CONTENT);
    return undefined;
  }
}
