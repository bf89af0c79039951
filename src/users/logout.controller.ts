import { BadRequestException, Body, Controller, HttpCode, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Describe, Tag } from '../authentication/describe.js';
import { Caller, CurrentRequest, SelfService } from '../authentication/plan.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { AuthRequest } from '../authentication/request.js';
import { type Principal, assertMayManageCredentials } from '../authentication/principal.js';
import { AuditPort } from '../authentication/ports.js';
import { endAllSignIns } from './end-sign-ins.js';

const SignOut = z
  .strictObject({ everywhere: z.boolean().default(false) })
  .meta({ id: 'SignOut', example: { everywhere: true } })
  .prefault({});

/** Logging out is not part of a login method: there can be several of them. */
@Controller('auth')
@Tag('Sign-in', 'Sign-ins of all methods.')
@SelfService()
export class LogoutController {
  constructor(
    private readonly issuers: IssuerRegistry,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Ends the session, or the token with its family, that authenticates this request.
   * @throws BadRequestException `not_signed_in` if the credential is neither
   * @throws ForbiddenException `limited_credential` for `everywhere`
   */
  @Post('logout')
  @Describe('Sign out', {
    headers: ['Set-Cookie', 'Clear-Site-Data'],
    errors: ['400 not_signed_in', '403 limited_credential'],
  })
  @HttpCode(204)
  async logOut(
    @Caller() caller: Principal,
    @CurrentRequest() request: AuthRequest,
    @Body({ schema: SignOut }) { everywhere }: z.output<typeof SignOut>,
  ): Promise<void> {
    if (everywhere) assertMayManageCredentials(caller);
    const issued = caller.proofs.flatMap((proof) => {
      const issuer = this.issuers.find(proof.method);
      return issuer ? [{ issuer, proof }] : [];
    });
    if (!issued.length)
      throw new BadRequestException({
        code: 'not_signed_in',
        detail: 'This credential is not a session or a token. Revoke it at its own route.',
      });
    if (everywhere)
      await this.dataSource.transaction(async (manager) => {
        await endAllSignIns(manager, caller.id);
        await this.audit.append(manager, {
          event: 'authn_token_revoked',
          actor: caller,
          target: `user:${caller.id}`,
          details: { everywhere: true },
        });
      });
    for (const { issuer, proof } of issued) await issuer.end(proof, request);
  }
}
