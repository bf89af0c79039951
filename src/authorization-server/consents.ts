import { Injectable, NotFoundException } from '@nestjs/common';
import type { Grant } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { assertMayManageCredentials } from '../authentication/manage-credentials.js';
import type { Principal } from '../authentication/principal.js';
import { AuditPort } from '../authentication/ports.js';
import { heldBy } from './asked-scopes.js';
import { OauthClient } from './client.entity.js';
import { endConsent } from './endings.js';
import { LiveRecords } from './live-records.js';

type Held = Pick<Grant, 'openid' | 'resources' | 'rejected' | 'rar' | 'iat'>;

/** What people have let applications do, and how they take it back. */
@Injectable()
export class Consents {
  constructor(
    private readonly records: LiveRecords,
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {}

  /** @throws ForbiddenException `limited_credential` */
  async list(caller: Principal) {
    assertMayManageCredentials(caller);
    const rows = await this.records.of('Grant', caller.id, 'DESC');
    const clients = await this.dataSource.manager.findBy(
      OauthClient,
      rows.map(({ clientId: id }) => ({ id: id! })),
    );
    const names = new Map(clients.map(({ id, metadata }) => [id, metadata['client_name'] ?? id]));
    return rows.map((row) => {
      const { rar, iat, ...grant } = this.records.open<Held>(row);
      const left = heldBy(grant.rejected).map(({ scope }) => scope);
      return {
        id: row.id,
        client: { id: row.clientId, name: names.get(row.clientId!) },
        scopes: [...new Set(heldBy(grant).map(({ scope }) => scope))].filter(
          (scope) => !left.includes(scope),
        ),
        ...(rar && { details: rar }),
        since: new Date(iat * 1000),
        expiresAt: row.expiresAt,
      };
    });
  }

  /**
   * Takes a consent back. All tokens that came of it are dead from then on, on every process: they have no row any more.
   * @throws NotFoundException for one that is not the caller's, exactly as for one that does not exist
   * @throws ForbiddenException `limited_credential`
   */
  async withdraw(caller: Principal, id: string): Promise<void> {
    assertMayManageCredentials(caller);
    const [row] = await this.records.of('Grant', caller.id, 'DESC', id);
    if (!row) throw new NotFoundException({ code: 'not_found', detail: 'You have no such consent.' });
    await this.dataSource.transaction(async (manager) => {
      await endConsent(manager, row.grantId!);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `oauth-client:${row.clientId}`,
        details: { consent: 'withdrawn' },
      });
    });
  }
}
