import { Injectable, UnprocessableEntityException } from '@nestjs/common';
import type { ClientMetadata } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { User } from '../../users/user.entity.js';
import { OidcProviderService } from '../provider/oidc-provider.service.js';
import { OauthRecord } from '../storage/oauth-record.entity.js';
import { recordId } from '../storage/oauth-records.service.js';
import { checkUrls, newClientId, newClientSecret, normalizeName } from './client-metadata.js';
import { ClientsService } from './clients.service.js';
import { OauthClient } from './oauth-client.entity.js';
import { REGISTRATION_POLICY, RELAXED_REGISTRATION_POLICY, joinScope } from './self-registration.service.js';

const INITIAL_ACCESS_TOKEN_SECONDS = 3_600;

/** Lets administrators create, list and remove clients. Each change and its audit event share a transaction. */
@Injectable()
export class ClientAdministration {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly clients: ClientsService,
    private readonly oidc: OidcProviderService,
    private readonly settings: Settings,
  ) {}

  /**
   * @param account a machine account of the caller's tenant, for the grant `client_credentials`
   * @throws InvalidClientMetadata
   * @throws UnprocessableEntityException `invalid_account`
   */
  async create(caller: Principal, metadata: object, account: string | undefined): Promise<ClientMetadata> {
    const requested: Partial<ClientMetadata> = { ...metadata, client_id: newClientId() };
    if (this.settings.production) checkUrls(requested);
    // oidc-provider accepts an algorithm only if there is a key for it.
    if (requested.id_token_signed_response_alg === 'RS256') await this.oidc.ensureSigningKey('RS256');
    const Client = await this.oidc.clientModel();
    normalizeName(requested);
    const { client_secret, ...validated } = new Client({
      ...requested,
      ...(Client.needsSecret(requested) && { client_secret: newClientSecret() }),
    }).metadata();
    const accountId = await this.accountFor(caller, account, validated.grant_types ?? []);
    const row = this.clients.rowOf(validated.client_id, { ...validated, client_secret });
    await this.dataSource.transaction(async (manager) => {
      await manager.insert(OauthClient, { ...row, accountId, tenantId: caller.tenantId });
      await this.clients.saveOrigins(manager, row);
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: `oauth-client:${row.id}`,
      });
    });
    return joinScope({ ...validated, ...(client_secret && { client_secret }) });
  }

  async list({ tenantId }: Principal): Promise<object[]> {
    const rows = await this.dataSource.manager.find(OauthClient, {
      where: { tenantId },
      order: { createdAt: 'DESC', id: 'ASC' },
    });
    return rows.map(({ id, metadata, accountId }) => ({
      client_id: id,
      ...joinScope(metadata),
      ...(accountId && { account: accountId }),
    }));
  }

  /** @returns false if the caller's tenant has no such client */
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

  /**
   * Issues an initial access token (RFC 7591 section 3), valid for one registration. It ends with the sign-ins of the
   * administrator, and with that role.
   * @param allowRelaxed whether the client may choose settings that are weaker than the default
   */
  async issueInitialAccessToken(
    caller: Principal,
    allowRelaxed: boolean,
  ): Promise<{ initial_access_token: string; expires_in: number }> {
    if (allowRelaxed) await this.oidc.ensureSigningKey('RS256');
    const { InitialAccessToken } = await this.oidc.provider();
    const token = new InitialAccessToken({
      policies: [allowRelaxed ? RELAXED_REGISTRATION_POLICY : REGISTRATION_POLICY],
      expiresIn: INITIAL_ACCESS_TOKEN_SECONDS,
    });
    const initial_access_token = await token.save();
    await this.dataSource.transaction(async (manager) => {
      const { id: accountId, epoch } = await manager.findOneByOrFail(User, { id: caller.id });
      const id = recordId('InitialAccessToken', token.jti);
      await manager.update(OauthRecord, { id }, { accountId, epoch });
      await this.audit.append(manager, {
        event: 'authn_token_created',
        actor: caller,
        target: 'oauth-initial-access-token',
        ...(allowRelaxed && { details: { relaxed: true } }),
      });
    });
    return { initial_access_token, expires_in: INITIAL_ACCESS_TOKEN_SECONDS };
  }

  private async accountFor(caller: Principal, id: string | undefined, grants: readonly string[]) {
    const required = grants.includes('client_credentials');
    if (id === undefined && !required) return null;
    const { tenantId } = caller;
    const isValid =
      required && (await this.dataSource.manager.existsBy(User, { id: id ?? '', tenantId, kind: 'client' }));
    if (isValid) return id!;
    throw new UnprocessableEntityException({
      code: 'invalid_account',
      detail:
        'Clients with the grant client_credentials must name a machine account of your tenant. Other clients must not name an account.',
    });
  }
}
