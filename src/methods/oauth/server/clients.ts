import { Injectable } from '@nestjs/common';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { AccessToken } from '../../../access-tokens/index.js';
import { Settings } from '../../../config/index.js';
import { SecretBox } from '../../../crypto/index.js';
import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';

/** The clients in the database, as the engine's `Adapter` of its kind `Client`. */
@Injectable()
export class Clients implements Adapter {
  private readonly box: SecretBox;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'oauth client');
  }

  /** Keeps a client. @param metadata RFC 7591's, with `client_secret` where it has one */
  async upsert(id: string, metadata: AdapterPayload): Promise<void> {
    await this.dataSource.manager.upsert(OauthClient, this.rowOf(id, metadata), ['id']);
  }

  /** The row of a client, with its secret sealed. */
  rowOf(id: string, { client_secret, ...metadata }: AdapterPayload) {
    const sealedSecret = client_secret === undefined ? null : this.box.seal(client_secret, id);
    return { id, metadata: metadata as object, sealedSecret, createdAt: new Date() };
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const row = await this.dataSource.manager.findOneBy(OauthClient, { id });
    if (!row) return undefined;
    const secret = row.sealedSecret !== null && { client_secret: this.box.open(row.sealedSecret, id) };
    return { ...row.metadata, ...secret, client_id: id };
  }

  /** With all that it was given. */
  async destroy(id: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await manager.delete(OauthClient, { id });
      await manager.delete(OauthRecord, { clientId: id });
      await manager.delete(AccessToken, { clientId: id });
    });
  }

  async consume(): Promise<void> {}

  async findByUid(): Promise<undefined> {}

  async findByUserCode(): Promise<undefined> {}

  async revokeByGrantId(): Promise<void> {}
}
