import { AsyncLocalStorage } from 'node:async_hooks';
<<<<<<< HEAD
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { DataSource, MoreThan } from 'typeorm';
import { AccessToken, idOf } from '../../../access-tokens/index.js';
import type { Issuance } from './issuance.js';
=======
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import { DataSource, IsNull, MoreThan, Not, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import { AccessToken, idOf, type AccessTokenContent } from '../../../access-tokens/index.js';
import type { Actor } from '../../../auth/index.js';
import { isPostgres } from '../../../database/index.js';
import { User } from '../../../users/index.js';
import { OauthClient } from './client.entity.js';
import { ENDED, digestOf } from './endings.js';
import { OauthRecord } from './record.entity.js';
>>>>>>> m/pages

/** The `jti` of a JWT access token whose signature has been verified, while the engine is asked about it. */
export const verifiedJwt = new AsyncLocalStorage<string>();

/** The token that another is exchanged for, and who will act with it, while that other is made. */
export const exchangedFor = new AsyncLocalStorage<{ readonly token: AccessToken; readonly act: Actor }>();

/** The engine's storage for access tokens, whose rows the resource server reads as well. */
export class AccessTokenRecords implements Adapter {
  constructor(
    private readonly kind: string,
    private readonly dataSource: DataSource,
    private readonly issuance: Issuance,
  ) {}

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    await this.issuance.keep(idOf('opaque', id), payload, expiresIn);
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
    return idOf(verifiedJwt.getStore() === id ? 'jwt' : 'opaque', id);
  }
}
<<<<<<< HEAD
=======

/**
 * Whose token it will be, and as of when: the account that has consented, as it was then; or the client's own, as it is
 * now. The row that says so is held until the token is there: who ends it waits, and finds the token.
 * @returns null where the consent, or the token that it is exchanged for, has ended
 */
async function speaksFor(manager: EntityManager, { accountId, grantId, clientId }: AdapterPayload) {
  const lock = isPostgres(manager.connection) && { lock: { mode: 'pessimistic_read' as const } };
  const exchange = exchangedFor.getStore();
  if (exchange) {
    const parent = await manager.findOne(AccessToken, { where: { id: exchange.token.id }, ...lock });
    return parent && { accountId: parent.accountId, epoch: parent.epoch, parentId: parent.id };
  }
  if (grantId) {
    const where = { id: digestOf('Grant', grantId), sealed: Not(ENDED) };
    const consent = await manager.findOne(OauthRecord, { where, ...lock });
    return consent && { accountId: consent.accountId!, epoch: consent.epoch! };
  }
  const account = accountId
    ? await manager.findOne(User, { where: { id: accountId, disabledAt: IsNull() }, ...lock })
    : await ownAccount(manager, clientId!, Boolean(lock));
  if (!account) throw new errors.UnauthorizedClient('the client has no account of its own');
  return { accountId: account.id, epoch: account.epoch };
}

function ownAccount(manager: EntityManager, clientId: string, locked: boolean): Promise<User | null> {
  const query = manager
    .createQueryBuilder(User, 'account')
    .innerJoin(OauthClient, 'client', 'client.accountId = account.id')
    .where('client.id = :clientId AND account.disabledAt IS NULL', { clientId });
  return (locked ? query.setLock('pessimistic_read') : query).getOne();
}
>>>>>>> m/pages
