import { Injectable, NotFoundException } from '@nestjs/common';
import type { Grant } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import { type Principal, assertMayManageCredentials } from '../../authentication/principal.js';
import { OauthClient } from '../clients/oauth-client.entity.js';
import { OauthRecords, revokeGrant } from '../storage/oauth-records.service.js';
import { grantedScopes } from './requested-scopes.js';

type StoredGrant = Pick<Grant, 'openid' | 'resources' | 'rejected' | 'rar' | 'iat'>;

/** Lists and revokes the consents that a person has given to clients. */
@Injectable()
export class ConsentsService {
  constructor(
    private readonly records: OauthRecords,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` */
  async list(caller: Principal) {
    assertMayManageCredentials(caller);
    const rows = await this.records.findActive('Grant', caller.id, 'DESC');
    const clients = await this.dataSource.manager.findBy(
      OauthClient,
      rows.map(({ clientId: id }) => ({ id: id! })),
    );
    const names = new Map(clients.map(({ id, metadata }) => [id, metadata['client_name'] ?? id]));
    return rows.map((row) => {
      const { rar, iat, ...grant } = this.records.decrypt<StoredGrant>(row);
      const rejected = grantedScopes(grant.rejected).map(({ scope }) => scope);
      const scopes = new Set(grantedScopes(grant).map(({ scope }) => scope));
      return {
        id: row.id,
        client: { id: row.clientId, name: names.get(row.clientId!) ?? row.clientId },
        scopes: [...scopes].filter((scope) => !rejected.includes(scope)),
        ...(rar && { details: rar }),
        since: new Date(iat * 1000),
        expiresAt: row.expiresAt,
      };
    });
  }

  /**
   * Revokes a consent with all its tokens. Other processes reject the tokens at once, because their rows are deleted.
   * @throws NotFoundException if the caller has no such consent
   * @throws ForbiddenException `limited_credential`
   */
  async revoke(caller: Principal, id: string): Promise<void> {
    assertMayManageCredentials(caller);
    const [row] = await this.records.findActive('Grant', caller.id, 'DESC', id);
    if (!row) throw new NotFoundException({ code: 'not_found', detail: 'You have no such consent.' });
    await this.dataSource.transaction(async (manager) => {
      await revokeGrant(manager, row.grantId!);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `oauth-client:${row.clientId}`,
        details: { consent: 'withdrawn' },
      });
    });
  }
}
