import { Injectable, NotFoundException } from '@nestjs/common';
import type { Grant } from 'oidc-provider';
import { DataSource, MoreThan, Not } from 'typeorm';
import { AuditLog } from '../../../audit/index.js';
import type { Principal } from '../../../auth/index.js';
import { Settings } from '../../../config/index.js';
import { SecretBox } from '../../../crypto/index.js';
import { heldBy } from './asked-scopes.js';
import { OauthClient } from './client.entity.js';
import { ENDED, endConsent } from './endings.js';
import { refuseLimited } from './refuse-limited.js';
import { OauthRecord } from './record.entity.js';

type Held = Pick<Grant, 'openid' | 'resources' | 'rejected' | 'rar' | 'iat'>;

/** What people have let applications do, and how they take it back. */
@Injectable()
export class Consents {
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditLog,
    settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'oauth records');
  }

  /** @throws ForbiddenException `beyond_your_credential` */
  async list(caller: Principal) {
    refuseLimited(caller);
    const rows = await this.live(caller);
    const clients = await this.dataSource.manager.findBy(
      OauthClient,
      rows.map(({ clientId: id }) => ({ id: id! })),
    );
    const names = new Map(clients.map(({ id, metadata }) => [id, metadata['client_name'] ?? id]));
    return rows.map((row) => {
      const { rar, iat, ...grant } = JSON.parse(this.box.open(row.sealed, row.id)) as Held;
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
   * @throws ForbiddenException `beyond_your_credential`
   */
  async withdraw(caller: Principal, id: string): Promise<void> {
    refuseLimited(caller);
    const [row] = await this.live(caller, id);
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

  private async live({ id: accountId }: Principal, id?: string): Promise<OauthRecord[]> {
    const rows = await this.dataSource.manager.find(OauthRecord, {
      where: {
        kind: 'Grant',
        accountId,
        sealed: Not(ENDED),
        expiresAt: MoreThan(new Date()),
        ...(id !== undefined && { id }),
      },
      relations: { account: true },
      order: { expiresAt: 'DESC', id: 'ASC' },
    });
    return rows.filter(({ account, epoch }) => account?.epoch === epoch);
  }
}
