import { BadRequestException, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import { AuditPort } from '../authentication/ports.js';
import { assertMayManageCredentials, type Principal } from '../authentication/principal.js';
import type { AuthRequest } from '../authentication/request.js';
import { endAllSignIns } from './end-sign-ins.js';

@Injectable()
export class LogoutService {
  constructor(
    private readonly issuers: IssuerRegistry,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /**
   * Ends the session, or the token with its family, that authenticates this request.
   * @param everywhere whether all other sign-ins of the account end, too
   * @throws BadRequestException `not_signed_in` if the credential is neither
   * @throws ForbiddenException `limited_credential` for `everywhere`
   */
  async logOut(caller: Principal, everywhere: boolean, request: AuthRequest): Promise<void> {
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
