import { randomBytes } from 'node:crypto';
import type { Adapter, AdapterPayload, Provider } from 'oidc-provider';
import { DataSource, IsNull, MoreThan, Not, type FindOptionsWhere } from 'typeorm';
import type { SecretBox } from '../../crypto/secret-box.js';
import { User } from '../../users/user.entity.js';
import { errors, providerContext } from '../provider/oidc-provider.js';
import { CONCURRENT_USE } from '../provider/provider-events.service.js';
import { epochInRequest, setSuccessor, successorOf } from '../provider/provider-request.js';
import { OauthRecord } from './oauth-record.entity.js';
import { REVOKED, recordId, revokeGrant, revokeRecords } from './oauth-records.service.js';

/** oidc-provider's storage adapter for one kind of record. */
export class RecordAdapter implements Adapter {
  constructor(
    protected readonly kind: string,
    protected readonly dataSource: DataSource,
    protected readonly box: SecretBox,
  ) {}

  /** @param expiresIn seconds; undefined for a record without expiry */
  async upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    const { manager } = this.dataSource;
    const rowId = recordId(this.kind, id);
    const { clientId = null, result, lastSubmission } = payload;
    // An interaction with a sign-in belongs to that account, as of the epoch that was read with its password.
    const { login } = (result ?? lastSubmission ?? {}) as { login?: { accountId: string; epoch: number } };
    const accountId = payload.accountId ?? login?.accountId ?? null;
    const account = accountId === null ? null : await manager.findOneBy(User, { id: accountId });
    const state = {
      accountId: account?.id ?? null,
      epoch: account && epochInRequest(account.id, login?.epoch ?? account.epoch),
      clientId,
      grantId: this.grantOf(id, payload),
      alias: aliasOf(payload),
      sealed: this.box.seal(JSON.stringify(payload), rowId),
      expiresAt: expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000),
    };
    // Neither statement touches a row that was used or revoked in the meantime.
    const active = { id: rowId, consumedAt: IsNull(), sealed: Not(REVOKED) };
    const { affected } = await manager.update(OauthRecord, active, state);
    if (affected) return;
    const row = { ...state, id: rowId, kind: this.kind, consumedAt: null };
    await this.dataSource.createQueryBuilder().insert().into(OauthRecord).values(row).orIgnore().execute();
  }

  /** The grant whose end also ends the record. A sign-in with another account ends the grant, but not its interaction. */
  private grantOf(id: string, { grantId = null }: { grantId?: string | null }): string | null {
    if (this.kind === 'Grant') return id;
    return this.kind === 'Interaction' ? null : grantId;
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return this.read({ id: recordId(this.kind, id) });
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: recordId('uid', uid) });
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.read({ kind: this.kind, alias: recordId('user code', userCode) });
  }

  /**
   * Marks a code or refresh token as used. A second use means that it was copied, so the whole grant is revoked
   * (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
   * @throws InvalidGrant for every concurrent use except the first
   */
  async consume(id: string): Promise<void> {
    const { manager } = this.dataSource;
    const row = { id: recordId(this.kind, id) };
    const unused = { ...row, consumedAt: IsNull(), sealed: Not(REVOKED) };
    const { affected } = await manager.update(OauthRecord, unused, { consumedAt: new Date() });
    if (affected) return;
    const { grantId } = (await manager.findOneBy(OauthRecord, row)) ?? {};
    if (grantId) await this.dataSource.transaction((transaction) => revokeGrant(transaction, grantId));
    throw new errors.InvalidGrant(CONCURRENT_USE);
  }

  async destroy(id: string): Promise<void> {
    if (this.kind === 'Grant') await this.dataSource.transaction((manager) => revokeGrant(manager, id));
    else await revokeRecords(this.dataSource.manager, { id: recordId(this.kind, id) });
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await revokeRecords(this.dataSource.manager, { kind: this.kind, grantId });
  }

  private async read(where: FindOptionsWhere<OauthRecord>): Promise<AdapterPayload | undefined> {
    const active = [
      { ...where, sealed: Not(REVOKED), expiresAt: IsNull() },
      { ...where, sealed: Not(REVOKED), expiresAt: MoreThan(new Date()) },
    ];
    const row = await this.dataSource.manager.findOne(OauthRecord, {
      where: active,
      relations: { account: true },
    });
    if (!row) return undefined;
    const { account, epoch } = row;
    if (account && (account.disabledAt || account.epoch !== epoch)) return undefined;
    if (account) epochInRequest(account.id, account.epoch);
    const payload = this.decrypt(row);
    if (!payload) return undefined;
    return row.consumedAt ? { ...payload, consumed: Math.floor(row.consumedAt.getTime() / 1000) } : payload;
  }

  /** @returns undefined for a record that was encrypted with an APP_SECRET that is no longer set */
  private decrypt({ id, sealed }: OauthRecord): AdapterPayload | undefined {
    try {
      return JSON.parse(this.box.open(sealed, id)) as AdapterPayload;
    } catch {
      return undefined;
    }
  }
}

/**
 * The time in which a client may repeat its last refresh with a proof of the same DPoP key. A phone without a connection
 * sends the request again within a day. RFC 9700 section 4.14.2 requires either bound refresh tokens or rotation; these have both.
 */
const DPOP_REPEAT_SECONDS = 24 * 60 * 60;

type StoredToken = AdapterPayload & { readonly successor?: string };

/**
 * Stores refresh tokens. A client whose response was lost may repeat its last refresh: the used token returns the same
 * successor again, for a limited time and until that successor is used. Every other second use is reuse.
 */
export class RefreshTokenAdapter extends RecordAdapter {
  /** @param bearerReuseSeconds the time for tokens without a DPoP key; 0 allows no repeat */
  constructor(
    dataSource: DataSource,
    box: SecretBox,
    private readonly bearerReuseSeconds: number,
  ) {
    super('RefreshToken', dataSource, box);
  }

  /** In a refresh, a repeatable token counts as unused. oidc-provider then checks its client, its key and its consent. */
  override async find(id: string): Promise<AdapterPayload | undefined> {
    const stored = await super.find(id);
    const isRefresh = providerContext()?.oidc.route === 'token';
    if (!isRefresh || !stored || !(await this.repeatableSuccessor(stored))) return stored;
    const { consumed: _consumed, ...unused } = stored;
    return unused;
  }

  /** The same statement marks a token as used and stores the id of its successor, so that no repeat creates another one. */
  override async consume(id: string): Promise<void> {
    const successor = (await this.use(id)) ?? (await this.repeatableSuccessor(await super.find(id)));
    if (successor === undefined) return super.consume(id);
    const ctx = providerContext();
    if (ctx) setSuccessor(ctx, successor);
  }

  /** @returns the id of the successor; undefined if the token was used or revoked before */
  private async use(id: string): Promise<string | undefined> {
    const rowId = recordId(this.kind, id);
    const stored = await super.find(id);
    if (!stored) return undefined;
    const successor = randomBytes(32).toString('base64url');
    const { affected } = await this.dataSource.manager.update(
      OauthRecord,
      { id: rowId, consumedAt: IsNull(), sealed: Not(REVOKED) },
      { consumedAt: new Date(), sealed: this.box.seal(JSON.stringify({ ...stored, successor }), rowId) },
    );
    return affected ? successor : undefined;
  }

  /** @returns undefined for a token that is unused, used too long ago, or whose successor was used */
  private async repeatableSuccessor(stored: StoredToken | undefined): Promise<string | undefined> {
    const { consumed, successor, jkt } = stored ?? {};
    const seconds = jkt ? DPOP_REPEAT_SECONDS : this.bearerReuseSeconds;
    if (!consumed || !successor || !seconds) return undefined;
    if ((consumed as number) + seconds <= Date.now() / 1000) return undefined;
    const next = await this.dataSource.manager.findOneBy(OauthRecord, { id: recordId(this.kind, successor) });
    // Without a row, the request that used the token has not stored the successor yet, or has failed before.
    return next?.consumedAt ? undefined : successor;
  }
}

/** oidc-provider creates a random id for each refresh token. The successor of another one gets the stored id. */
export function useStoredSuccessors({ RefreshToken }: Provider): void {
  const model = RefreshToken.prototype as unknown as { generateTokenId: (this: unknown) => string };
  const { generateTokenId } = model;
  model.generateTokenId = function generate(this: unknown) {
    return successorOf(providerContext()) ?? generateTokenId.call(this);
  };
}

function aliasOf({ uid, userCode }: AdapterPayload): string | null {
  if (uid !== undefined) return recordId('uid', uid);
  if (userCode !== undefined) return recordId('user code', userCode);
  return null;
}
