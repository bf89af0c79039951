import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource, type EntityManager } from 'typeorm';
import { AccessToken } from '../../access-tokens/access-token.entity.js';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { User } from '../../users/user.entity.js';
import { providerContext } from '../provider/oidc-provider.js';
import { OauthRecord } from '../storage/oauth-record.entity.js';
import { OauthClient, OauthClientOrigin, pageOriginsOf } from './oauth-client.entity.js';

/** Other processes see a changed or removed client after this time at the latest. */
const CLIENT_CACHE_MS = 1_000;

/** The name of the policy that oidc-provider applies to clients without an initial access token. */
export const OPEN_POLICY = 'open';
/** An open client without a consent is deleted after this time. */
const UNUSED_CLIENT_MS = 24 * 60 * 60_000;

/** The account of a token; undefined for a token of the client itself. */
interface TokenOwner {
  readonly accountId?: string | undefined;
  readonly clientId?: string | undefined;
}

/** Stores clients. oidc-provider uses it as the adapter of its model `Client`. */
@Injectable()
export class ClientsService implements Adapter {
  private readonly logger = new Logger(ClientsService.name);
  private readonly box: SecretBox;
  private readonly cache = new LRUCache<string, AdapterPayload>({ max: 1_000, ttl: CLIENT_CACHE_MS });

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'oauth client');
  }

  /** @param metadata RFC 7591 section 2, with `client_secret` if the client has one */
  async upsert(id: string, metadata: AdapterPayload): Promise<void> {
    const row = this.rowOf(id, metadata);
    const isOpen = providerContext()?.oidc.entities.InitialAccessToken?.policies?.includes(OPEN_POLICY);
    const expiresAt = isOpen ? new Date(Date.now() + UNUSED_CLIENT_MS) : null;
    await this.dataSource.transaction(async (manager) => {
      await manager
        .createQueryBuilder()
        .insert()
        .into(OauthClient)
        .values({ ...row, accountId: null, tenantId: null, expiresAt })
        .orUpdate(['metadata', 'sealedSecret'], ['id'])
        .execute();
      await this.saveOrigins(manager, row);
    });
    this.cache.delete(id);
  }

  /**
   * Stores the origins of a client's pages, which is stored already.
   * @param manager of a transaction
   */
  async saveOrigins(
    manager: EntityManager,
    { id: clientId, metadata }: { readonly id: string; readonly metadata: object },
  ): Promise<void> {
    await manager.delete(OauthClientOrigin, { clientId });
    const rows = pageOriginsOf(metadata).map((origin) => ({ clientId, origin }));
    await manager.insert(OauthClientOrigin, rows);
  }

  /** Whether scripts of an origin may call the server for one client at least. */
  hasPageAt(origin: string): Promise<boolean> {
    return this.dataSource.manager.existsBy(OauthClientOrigin, { origin });
  }

  /** The row of a client, with its secret encrypted. */
  rowOf(id: string, { client_secret, ...metadata }: AdapterPayload) {
    const sealedSecret = client_secret === undefined ? null : this.box.seal(client_secret, id);
    return { id, metadata: metadata as object, sealedSecret, createdAt: new Date(), expiresAt: null };
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const cached = this.cache.get(id);
    if (cached) return cached;
    const row = await this.dataSource.manager.findOneBy(OauthClient, { id });
    const client = row && this.decrypt(row);
    if (client) this.cache.set(id, client);
    return client ?? undefined;
  }

  /** The tenant that manages a client; null for none. */
  async tenantOf(id: string): Promise<string | null> {
    return (await this.dataSource.manager.findOneBy(OauthClient, { id }))?.tenantId ?? null;
  }

  /** The tenant of the account that a token was issued for: a person's, or the client's own. */
  async tenantOfOwner({ accountId, clientId = '' }: TokenOwner): Promise<string | undefined> {
    const { manager } = this.dataSource;
    if (accountId !== undefined) return (await manager.findOneBy(User, { id: accountId }))?.tenantId;
    const where = { id: clientId };
    return (await manager.findOne(OauthClient, { where, relations: { account: true } }))?.account?.tenantId;
  }

  /** Whether accounts of a tenant may sign in to a client: a client that a tenant manages is for its accounts only. */
  async accepts(id: string, tenantOfAccount: string | undefined): Promise<boolean> {
    const tenantId = await this.tenantOf(id);
    return tenantId === null || tenantId === tenantOfAccount;
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.transaction((manager) => this.remove(manager, id));
  }

  /**
   * Removes a client with all its tokens and consents.
   * @param manager of a transaction
   */
  async remove(manager: EntityManager, id: string): Promise<void> {
    await manager.delete(OauthClient, { id });
    await manager.delete(OauthRecord, { clientId: id });
    await manager.delete(AccessToken, { clientId: id });
    this.cache.delete(id);
  }

  async consume(): Promise<void> {}
  async findByUid(): Promise<undefined> {}
  async findByUserCode(): Promise<undefined> {}
  async revokeByGrantId(): Promise<void> {}

  /** @returns undefined if the secret was encrypted with an APP_SECRET that is no longer set; the client needs a new secret */
  private decrypt({ id, metadata, sealedSecret }: OauthClient): AdapterPayload | undefined {
    try {
      const secret = sealedSecret !== null && { client_secret: this.box.open(sealedSecret, id) };
      return { ...metadata, ...secret, client_id: id };
    } catch {
      this.logger.warn({ event: 'client secret lost', client: id });
      return undefined;
    }
  }
}
