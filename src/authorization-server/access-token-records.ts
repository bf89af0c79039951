import { AsyncLocalStorage } from 'node:async_hooks';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource, MoreThan } from 'typeorm';
import { AccessToken, accessTokenId } from '../access-tokens/access-token.entity.js';
import type { Issuance } from './issuance.js';

/** The `jti` of a JWT access token whose signature has been verified, while the engine is asked about it. */
export const verifiedJwt = new AsyncLocalStorage<string>();

/** The engine's storage for access tokens, whose rows the resource server reads as well. */
export class AccessTokenRecords implements Adapter {
  constructor(
    private readonly kind: string,
    private readonly dataSource: DataSource,
    private readonly issuance: Issuance,
  ) {}

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    await this.issuance.keep(accessTokenId('opaque', id), payload, expiresIn);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const row = await this.dataSource.manager.findOne(AccessToken, {
      where: { id: this.nameOf(id), expiresAt: MoreThan(new Date()) },
      relations: { account: true },
    });
    const content = row?.content as AdapterPayload | undefined;
    if (!row || content?.kind !== this.kind) return undefined;
    const { account, epoch } = row;
    if (!account || account.disabledAt || account.epoch !== epoch) return undefined;
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
    return accessTokenId(verifiedJwt.getStore() === id ? 'jwt' : 'opaque', id);
  }
}
