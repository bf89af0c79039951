import {
  Body,
  Controller,
  HttpCode,
  HttpStatus,
  Post,
  Res,
  UnprocessableEntityException,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { z } from 'zod';
import { Caller, CurrentRequest, Public, HttpsOnly, SelfService } from '../../authentication/plan.js';
import { IssuerRegistry } from '../../authentication/issuer-registry.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { PasswordChange } from './password-change.service.js';
import { PasswordLogin } from './password.service.js';
import { parseScope } from './password.js';
import { SCOPES } from '../../permissions.js';

/** Far above what any password may have: what is longer costs nothing, and says nothing of an account. */
const Secret = z.string().max(1024);

const LoginBody = z.strictObject({
  // Whatever cannot be a username is an unknown one: it must not be told from the others.
  username: z.string().max(256),
  password: Secret,
  as: z.string().max(40),
  scope: z
    .string()
    .max(256)
    .transform(parseScope)
    .pipe(z.array(z.enum(SCOPES)))
    .optional(),
});

const Change = z.strictObject({ current_password: Secret, new_password: Secret });

@Controller('auth')
export class PasswordController {
  constructor(
    private readonly issuers: IssuerRegistry,
    private readonly login: PasswordLogin,
    private readonly change: PasswordChange,
    private readonly host: HttpAdapterHost,
  ) {}

  /** Signs in, and answers what the issuer named by `as` says. */
  @Post('login')
  @Public()
  @HttpsOnly()
  @HttpCode(200)
  signIn(
    @Body({ schema: LoginBody }) { as, scope, ...login }: z.output<typeof LoginBody>,
    @CurrentRequest() request: AuthRequest,
  ): Promise<object> {
    const name = this.issuers.names.find((each) => each === as);
    const issuer = name && this.issuers.find(name);
    if (!issuer)
      throw new UnprocessableEntityException({
        code: 'invalid_body',
        detail: 'The body is invalid.',
        errors: [{ field: 'as', message: `Must be one of: ${this.issuers.names.join(', ')}.` }],
      });
    return this.login.signIn({ ...login, ...(scope && { scopes: scope }) }, name, issuer, request);
  }

  /**
   * A new password for the caller. Every sign-in of the account ends, this one too; where an issuer made it, the
   * answer is a fresh one, so that the caller goes on.
   */
  @Post('password')
  @SelfService()
  @HttpsOnly()
  @HttpCode(200)
  async changePassword(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: Change }) { current_password, new_password }: z.output<typeof Change>,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<object | undefined> {
    const epoch = await this.change.change(caller, current_password, new_password, request.ip);
    const issuer = caller.proofs.map(({ method }) => this.issuers.find(method)).find(Boolean);
    if (issuer) return issuer.issue(caller, request, epoch);
    this.host.httpAdapter.status(response, HttpStatus.NO_CONTENT);
    return undefined;
  }
}
