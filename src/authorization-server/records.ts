import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import { DataSource, IsNull, MoreThan, Not, type FindOptionsWhere } from 'typeorm';
import type { SecretBox } from '../crypto/secret-box.js';
import { User } from '../users/user.entity.js';
import { ENDED, digestOf, end, endConsent } from './endings.js';
import { inThisRequest } from './epochs.js';
import { OauthRecord } from './record.entity.js';

/** The engine's storage for one kind of record (its `Adapter` interface). */
export class Records implements Adapter {
  constructor(
    protected readonly kind: string,
    protected readonly dataSource: DataSource,
    private readonly box: SecretBox,
  ) {}

  /** @param expiresIn seconds; undefined: no end */
  async upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    const digest = digestOf(this.kind, id);
    const { clientId = null, grantId = null, uid, userCode, result, lastSubmission } = payload;
    // An interaction that has ended in a sign-in is that account's, and as old as its password was.
    const { login } = (result ?? lastSubmission ?? {}) as { login?: { accountId: string; epoch: number } };
    const accountId = payload.accountId ?? login?.accountId ?? null;
    const alias =
      uid !== undefined
        ? digestOf('uid', uid)
        : userCode === undefined
          ? null
          : digestOf('user code', userCode);
    const account =
      accountId === null ? null : await this.dataSource.manager.findOneBy(User, { id: accountId });
    const state = {
      accountId: account?.id ?? null,
      epoch: account && inThisRequest(account.id, login?.epoch ?? account.epoch),
      clientId,
      grantId: this.kind === 'Grant' ? id : grantId,
      alias,
      sealed: this.box.seal(JSON.stringify(payload), digest),
      expiresAt: expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000),
    };
    const { manager } = this.dataSource;
    // What has ended meanwhile stays so: neither of the two touches its row.
    const live = { id: digest, consumedAt: IsNull(), sealed: Not(ENDED) };
    const { affected } = await manager.update(OauthRecord, live, state);
    if (affected) return;
    const row = { ...state, id: digest, kind: this.kind, consumedAt: null };
    await this.dataSource.createQueryBuilder().insert().into(OauthRecord).values(row).orIgnore().execute();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return this.read({ id: digestOf(this.kind, id) });
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: digestOf('uid', uid) });
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: digestOf('user code', userCode) });
  }

  /**
   * Uses it up. Who comes second, however soon, has a copy: all that was given for that consent ends.
   * @throws InvalidGrant for all but one of those who use it at once
   */
  async consume(id: string): Promise<void> {
    const { manager } = this.dataSource;
    const row = { id: digestOf(this.kind, id) };
    const unused = { ...row, consumedAt: IsNull(), sealed: Not(ENDED) };
    const { affected } = await manager.update(OauthRecord, unused, { consumedAt: new Date() });
    if (affected) return;
    const { grantId } = (await manager.findOneBy(OauthRecord, row)) ?? {};
    if (grantId) await this.dataSource.transaction((each) => endConsent(each, grantId));
    throw new errors.InvalidGrant('it was used a moment ago');
  }

  async destroy(id: string): Promise<void> {
    if (this.kind === 'Grant') await this.dataSource.transaction((manager) => endConsent(manager, id));
    else await end(this.dataSource.manager, { id: digestOf(this.kind, id) });
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await end(this.dataSource.manager, { kind: this.kind, grantId });
  }

  private async read(where: FindOptionsWhere<OauthRecord>): Promise<AdapterPayload | undefined> {
    const manager = this.dataSource.manager;
    const live = [
      { ...where, sealed: Not(ENDED), expiresAt: IsNull() },
      { ...where, sealed: Not(ENDED), expiresAt: MoreThan(new Date()) },
    ];
    const row = await manager.findOne(OauthRecord, { where: live, relations: { account: true } });
    if (!row) return undefined;
    const { account, epoch } = row;
    if (account && (account.disabledAt || account.epoch !== epoch)) return undefined;
    if (account) inThisRequest(account.id, account.epoch);
    const payload = this.open(row);
    if (!payload) return undefined;
    return row.consumedAt ? { ...payload, consumed: Math.floor(row.consumedAt.getTime() / 1000) } : payload;
  }

  /** @returns undefined for what was sealed with an APP_SECRET that is no longer set: it is lost */
  private open({ id, sealed }: OauthRecord): AdapterPayload | undefined {
    try {
      return JSON.parse(this.box.open(sealed, id)) as AdapterPayload;
    } catch {
      return undefined;
    }
  }
}
