import { Injectable, UnprocessableEntityException } from '@nestjs/common';
import type { ClientMetadata } from 'oidc-provider';
import { DataSource } from 'typeorm';
import type { Principal } from '../authentication/principal.js';
import { AuditPort } from '../authentication/ports.js';
import { User } from '../users/user.entity.js';
import { OauthClient } from './client.entity.js';
import { Clients } from './clients.js';
import { Engine } from './engine.js';
import { REGISTERED, newClientId, newSecret } from './registration.js';

/** Seconds. */
const AN_HOUR = 3_600;
const CLIENT_CREDENTIALS = 'client_credentials';

/** Clients as administrators make and end them; each change with its event, in one transaction. */
@Injectable()
export class ClientAdministration {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly clients: Clients,
    private readonly engine: Engine,
  ) {}

  /**
   * @param account of a machine of the caller's tenant, that the client is when it calls in its own name
   * @throws InvalidClientMetadata
   * @throws UnprocessableEntityException `invalid_account`
   */
  async add(caller: Principal, metadata: object, account: string | undefined): Promise<ClientMetadata> {
    const Client = await this.engine.clientModel();
    const wanted = { ...metadata, client_id: newClientId() };
    const { client_secret, ...checked } = new Client({
      ...wanted,
      ...(Client.needsSecret(wanted) && { client_secret: newSecret() }),
    }).metadata();
    const accountId = await this.accountFor(caller, account, checked.grant_types ?? []);
    const row = this.clients.rowOf(checked.client_id, { ...checked, client_secret });
    await this.dataSource.transaction(async (manager) => {
      await manager.insert(OauthClient, { ...row, accountId, tenantId: caller.tenantId });
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `oauth-client:${row.id}`,
      });
    });
    return { ...checked, ...(client_secret && { client_secret }) };
  }

  async list({ tenantId }: Principal): Promise<object[]> {
    const rows = await this.dataSource.manager.find(OauthClient, {
      where: { tenantId },
      order: { createdAt: 'DESC', id: 'ASC' },
    });
    return rows.map(({ metadata, accountId }) => ({ ...metadata, ...(accountId && { account: accountId }) }));
  }

  /** @returns false where the caller's tenant has none of this id */
  async remove(caller: Principal, id: string): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      if (!(await manager.existsBy(OauthClient, { id, tenantId: caller.tenantId }))) return false;
      await this.clients.remove(manager, id);
      await this.audit.append(manager, {
        event: 'authn_token_revoked',
        actor: caller,
        target: `oauth-client:${id}`,
      });
      return true;
    });
  }

  /** A token with which one client registers itself, within the hour. */
  async invite(caller: Principal): Promise<{ initial_access_token: string; expires_in: number }> {
    const { InitialAccessToken } = await this.engine.provider();
    const token = new InitialAccessToken({ policies: [REGISTERED], expiresIn: AN_HOUR });
    const initial_access_token = await token.save();
    await this.audit.record({
      event: 'authn_token_created',
      actor: caller,
      target: 'oauth-initial-access-token',
    });
    return { initial_access_token, expires_in: AN_HOUR };
  }

  private async accountFor(caller: Principal, id: string | undefined, grants: readonly string[]) {
    const wanted = grants.includes(CLIENT_CREDENTIALS);
    if (id === undefined && !wanted) return null;
    const { tenantId } = caller;
    const fits =
      wanted && (await this.dataSource.manager.existsBy(User, { id: id ?? '', tenantId, kind: 'client' }));
    if (fits) return id!;
    throw new UnprocessableEntityException({
      code: 'invalid_account',
      detail:
        'The grant client_credentials needs the account of a machine of your tenant, and only that does.',
    });
  }
}
