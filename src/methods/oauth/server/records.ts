import { createHash } from 'node:crypto';
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import { DataSource, IsNull, MoreThan, type FindOptionsWhere } from 'typeorm';
import { AccessToken } from '../../../access-tokens/index.js';
import type { SecretBox } from '../../../crypto/index.js';
import { User } from '../../../users/index.js';
import { OauthRecord } from './record.entity.js';

/** The engine's storage for one kind of record (its `Adapter` interface). */
export class Records implements Adapter {
  constructor(
    private readonly kind: string,
    private readonly dataSource: DataSource,
    private readonly box: SecretBox,
  ) {}

  /** @param expiresIn seconds; undefined: no end */
  async upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    const digest = digestOf(this.kind, id);
    const { accountId = null, clientId = null, grantId = null, uid, userCode } = payload;
    const alias = uid ?? (userCode === undefined ? null : digestOf('user code', userCode));
    const account =
      accountId === null ? null : await this.dataSource.manager.findOneBy(User, { id: accountId });
    const row = {
      id: digest,
      kind: this.kind,
      accountId: account?.id ?? null,
      epoch: account?.epoch ?? null,
      clientId,
      grantId: this.kind === 'Grant' ? id : grantId,
      alias,
      sealed: this.box.seal(JSON.stringify(payload), digest),
      expiresAt: expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000),
    };
    await this.dataSource
      .createQueryBuilder()
      .insert()
      .into(OauthRecord)
      .values({ ...row, consumedAt: null })
      .orUpdate(['accountId', 'clientId', 'grantId', 'alias', 'sealed', 'expiresAt'], ['id'])
      .execute();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return this.read({ id: digestOf(this.kind, id) });
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: uid });
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: digestOf('user code', userCode) });
  }

  /** @throws InvalidGrant for all but one of those who use it at once */
  async consume(id: string): Promise<void> {
    const { affected } = await this.dataSource.manager.update(
      OauthRecord,
      { id: digestOf(this.kind, id), consumedAt: IsNull() },
      { consumedAt: new Date() },
    );
    if (!affected) throw new errors.InvalidGrant('it was used a moment ago');
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.manager.delete(OauthRecord, { id: digestOf(this.kind, id) });
    if (this.kind === 'Grant') await this.dataSource.manager.delete(AccessToken, { grantId: id });
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.dataSource.manager.delete(OauthRecord, { kind: this.kind, grantId });
    await this.dataSource.manager.delete(AccessToken, { grantId });
  }

  private async read(where: FindOptionsWhere<OauthRecord>): Promise<AdapterPayload | undefined> {
    const manager = this.dataSource.manager;
    const live = [
      { ...where, expiresAt: IsNull() },
      { ...where, expiresAt: MoreThan(new Date()) },
    ];
    const row = await manager.findOne(OauthRecord, { where: live, relations: { account: true } });
    if (!row) return undefined;
    const { account, epoch } = row;
    if (account && (account.disabledAt || account.epoch !== epoch)) return undefined;
    const payload = JSON.parse(this.box.open(row.sealed, row.id)) as AdapterPayload;
    return row.consumedAt ? { ...payload, consumed: Math.floor(row.consumedAt.getTime() / 1000) } : payload;
  }
}

const digestOf = (kind: string, id: string) =>
  createHash('sha256').update(`${kind} ${id}`).digest('base64url');
