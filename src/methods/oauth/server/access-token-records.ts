import { AsyncLocalStorage } from 'node:async_hooks';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource, MoreThan, type QueryDeepPartialEntity } from 'typeorm';
import { AccessToken, idOf, type AccessTokenContent } from '../../../access-tokens/index.js';
import type { Actor } from '../../../auth/index.js';
import { User } from '../../../users/index.js';
import { OauthClient } from './client.entity.js';
import { OauthRecord } from './record.entity.js';

/** The `jti` of a JWT access token whose signature has been verified, while the engine is asked about it. */
export const verifiedJwt = new AsyncLocalStorage<string>();

/** The token that another is exchanged for, and who will act with it, while that other is made. */
export const exchangedFor = new AsyncLocalStorage<{ readonly token: AccessToken; readonly act: Actor }>();

/** The engine's storage for access tokens, whose rows the resource server reads as well. */
export class AccessTokenRecords implements Adapter {
  constructor(
    private readonly kind: string,
    private readonly dataSource: DataSource,
  ) {}

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    await this.keep(idOf('opaque', id), payload, expiresIn);
  }

  /** Keeps a token under its row's name. @param expiresIn seconds */
  async keep(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const { clientId, grantId = null } = payload as { clientId: string; grantId?: string };
    const { accountId, epoch } = await this.speaksFor(payload);
    const { jti: _jti, clientId: _client, accountId: _account, exp: _exp, ...content } = payload;
    await this.dataSource.manager.insert(AccessToken, {
      id,
      accountId,
      clientId,
      grantId,
      parentId: exchangedFor.getStore()?.token.id ?? null,
      epoch,
      content: content as unknown as QueryDeepPartialEntity<AccessTokenContent>,
      expiresAt: new Date(Date.now() + expiresIn * 1000),
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const row = await this.dataSource.manager.findOneBy(AccessToken, {
      id: this.nameOf(id),
      expiresAt: MoreThan(new Date()),
    });
    const content = row?.content as AdapterPayload | undefined;
    if (!row || content?.kind !== this.kind) return undefined;
    const ofAccount = this.kind === 'AccessToken' && { accountId: row.accountId };
    const exp = Math.floor(row.expiresAt.getTime() / 1000);
    return { ...content, ...ofAccount, jti: id, clientId: row.clientId, exp };
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { id: this.nameOf(id) });
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { grantId });
  }

  async consume(): Promise<void> {
    throw new Error('An access token is not used up.');
  }

  async findByUid(): Promise<undefined> {}

  async findByUserCode(): Promise<undefined> {}

  private nameOf(id: string): string {
    return idOf(verifiedJwt.getStore() === id ? 'jwt' : 'opaque', id);
  }

  /** The account of the token that it is exchanged for; or that has consented, as it was then; or the client's own, as it is now. */
  private async speaksFor({ accountId, grantId, clientId }: AdapterPayload) {
    const parent = exchangedFor.getStore()?.token;
    if (parent) return { accountId: parent.accountId, epoch: parent.epoch };
    const { manager } = this.dataSource;
    const grant = grantId ? await manager.findOneBy(OauthRecord, { kind: 'Grant', grantId }) : null;
    if (accountId && grant?.epoch != null) return { accountId, epoch: grant.epoch };
    const client = await manager.findOneByOrFail(OauthClient, { id: clientId! });
    const { id, epoch } = await manager.findOneByOrFail(User, { id: accountId ?? client.accountId ?? '' });
    return { accountId: id, epoch };
  }
}
