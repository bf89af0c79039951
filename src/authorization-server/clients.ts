import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource, type EntityManager } from 'typeorm';
import { AccessToken } from '../access-tokens/access-token.entity.js';
import { Settings } from '../config/settings.js';
import { SecretBox } from '../crypto/secret-box.js';
import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';

/** What ends or changes a client holds for all processes after this long; here at once. */
const A_SECOND = 1_000;

/** The clients in the database, as the engine's `Adapter` of its kind `Client`. */
@Injectable()
export class Clients implements Adapter {
  private readonly logger = new Logger(Clients.name);
  private readonly box: SecretBox;
  private readonly cached = new LRUCache<string, AdapterPayload>({ max: 1_000, ttl: A_SECOND });

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'oauth client');
  }

  /** Keeps a client. @param metadata RFC 7591's, with `client_secret` where it has one */
  async upsert(id: string, metadata: AdapterPayload): Promise<void> {
    const row = this.rowOf(id, metadata);
    await this.dataSource
      .createQueryBuilder()
      .insert()
      .into(OauthClient)
      .values({ ...row, accountId: null, tenantId: null })
      .orUpdate(['metadata', 'sealedSecret'], ['id'])
      .execute();
    this.cached.delete(id);
  }

  /** The row of a client, with its secret sealed. */
  rowOf(id: string, { client_secret, ...metadata }: AdapterPayload) {
    const sealedSecret = client_secret === undefined ? null : this.box.seal(client_secret, id);
    return { id, metadata: metadata as object, sealedSecret, createdAt: new Date() };
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const known = this.cached.get(id);
    if (known) return known;
    const row = await this.dataSource.manager.findOneBy(OauthClient, { id });
    const client = row && this.open(row);
    if (client) this.cached.set(id, client);
    return client ?? undefined;
  }

  /** Ends a client, with all that it was given. */
  async destroy(id: string): Promise<void> {
    await this.dataSource.transaction((manager) => this.remove(manager, id));
  }

  /** @param manager of a transaction */
  async remove(manager: EntityManager, id: string): Promise<void> {
    await manager.delete(OauthClient, { id });
    await manager.delete(OauthRecord, { clientId: id });
    await manager.delete(AccessToken, { clientId: id });
    this.cached.delete(id);
  }

  async consume(): Promise<void> {}

  async findByUid(): Promise<undefined> {}

  async findByUserCode(): Promise<undefined> {}

  async revokeByGrantId(): Promise<void> {}

  /** @returns undefined where its secret was sealed with an APP_SECRET that is no longer set: it needs a new one */
  private open({ id, metadata, sealedSecret }: OauthClient): AdapterPayload | undefined {
    try {
      const secret = sealedSecret !== null && { client_secret: this.box.open(sealedSecret, id) };
      return { ...metadata, ...secret, client_id: id };
    } catch {
      this.logger.warn({ event: 'client secret lost', client: id });
      return undefined;
    }
  }
}
