import { BadRequestException, Body, Controller, HttpCode, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { Caller, CurrentRequest, SelfService } from '../authentication/plan.js';
import { assertMayManageCredentials } from '../authentication/manage-credentials.js';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import type { AuthRequest } from '../authentication/request.js';
import type { Principal } from '../authentication/principal.js';
import { AuditPort } from '../authentication/ports.js';
import { endAllSignIns } from './end-sign-ins.js';

const SignOut = z.strictObject({ everywhere: z.boolean().default(false) }).prefault({});

/** It stands here and not with a login, of which there can be several, or none that is named `password`. */
@Controller('auth')
@SelfService()
export class LogoutController {
  constructor(
    private readonly issuers: IssuerRegistry,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Ends what proves this request: the session, or the token with its family.
   * @throws BadRequestException `not_signed_in` where that is no issuer's, so there is no sign-in to end
   */
  @Post('logout')
  @HttpCode(204)
  async signOut(
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
