import { Injectable } from '@nestjs/common';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { User } from '../users/user.entity.js';
import { AuditPort } from '../authentication/ports.js';

/** Writes down who has signed out: of everything here, or of one application. */
@Injectable()
export class SignOuts {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  over(provider: Provider): void {
    provider.use(async (ctx, next) => {
      await next();
      const { oidc } = ctx as KoaContextWithOIDC;
      if (oidc?.route === 'end_session_confirm' && ctx.status === 303) await this.write(oidc);
    });
  }

  private async write({ session, params, client }: KoaContextWithOIDC['oidc']): Promise<void> {
    const actor = await this.dataSource.manager.findOneBy(User, { id: session?.accountId ?? '' });
    if (!actor) return;
    await this.audit.record({
      event: 'authn_token_revoked',
      actor,
      method: 'oauth',
      target: params?.['logout'] ? `user:${actor.id}` : `oauth-client:${client?.clientId}`,
    });
  }
}
