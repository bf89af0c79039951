import type { AdapterPayload } from 'oidc-provider';
import { IsNull, Not, type DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import { AccessToken } from '../../access-tokens/access-token.entity.js';
import { isPostgres } from '../../database/columns.js';
import { User } from '../../users/user.entity.js';
import { errors, providerContext } from '../provider/oidc-provider.js';
import { tokenExchangeOf } from '../provider/provider-request.js';
import { OauthRecord } from './oauth-record.entity.js';
import { REVOKED, recordId } from './oauth-records.service.js';

type Row = QueryDeepPartialEntity<AccessToken>;

interface PendingToken {
  readonly payload: AdapterPayload;
  /** The row id of the subject token, in a token exchange. */
  readonly parentId: string | undefined;
  readonly row: Row;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The account that a token is issued for, with its epoch. */
interface TokenOwner {
  readonly accountId: string;
  readonly epoch: number;
  readonly parentId?: string;
}

const MAX_ROWS_PER_INSERT = 1_000;

/**
 * Inserts new access tokens. All tokens of one event loop iteration share a transaction, because a commit costs more than a
 * row. The promise of each token resolves after the commit.
 */
export class AccessTokenWriter {
  private pending: PendingToken[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Inserts a token. If its grant or its subject token was revoked in the meantime, no row is inserted and so the token is
   * invalid from the start.
   * @param id of the row
   * @param expiresIn seconds
   * @throws UnauthorizedClient if a client requests a token for itself and has no enabled account
   */
  write(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const { jti: _jti, exp: _exp, accountId: _account, clientId = '', grantId = null, ...content } = payload;
    const row = {
      id,
      clientId,
      grantId,
      parentId: null,
      content: { ...content, grantId },
      expiresAt: new Date(Date.now() + expiresIn * 1000),
    } as unknown as Row;
    const parentId = tokenExchangeOf(providerContext())?.subject.id;
    return new Promise((resolve, reject) => {
      if (!this.pending.length) setImmediate(() => void this.flush());
      this.pending.push({ payload, parentId, row, resolve, reject });
    });
  }

  private async flush(): Promise<void> {
    const batch = this.pending;
    this.pending = [];
    try {
      const owners = await this.dataSource.transaction((manager) => insertBatch(manager, batch));
      batch.forEach(({ resolve, reject }, i) => (owners[i] === null ? reject(noAccount()) : resolve()));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

const noAccount = () => new errors.UnauthorizedClient('the client has no account of its own');

async function insertBatch(manager: EntityManager, batch: readonly PendingToken[]) {
  const cached = new Map<string, TokenOwner | null | undefined>();
  const owners: (TokenOwner | null | undefined)[] = [];
  for (const { payload, parentId } of batch) {
    const key = JSON.stringify([parentId, payload.grantId, payload.accountId, payload.clientId]);
    if (!cached.has(key)) cached.set(key, await findOwner(manager, payload, parentId));
    owners.push(cached.get(key));
  }
  const rows = batch.flatMap(({ row }, i): Row[] => (owners[i] ? [{ ...row, ...owners[i] }] : []));
  for (let from = 0; from < rows.length; from += MAX_ROWS_PER_INSERT)
    await insert(manager, rows.slice(from, from + MAX_ROWS_PER_INSERT));
  return owners;
}

/**
 * Returns the owner of the subject token, the account of the grant, or the client's own account.
 * The row that decides is locked until the commit: a concurrent revocation waits for it and then deletes the new token.
 * @returns undefined if the grant or the subject token was revoked; null if there is no enabled account
 */
async function findOwner(
  manager: EntityManager,
  { accountId, grantId, clientId }: AdapterPayload,
  parentId: string | undefined,
): Promise<TokenOwner | null | undefined> {
  const lock = isPostgres(manager.connection) && { lock: { mode: 'pessimistic_read' as const } };
  if (parentId) {
    const parent = await manager.findOne(AccessToken, { where: { id: parentId }, ...lock });
    return parent ? { accountId: parent.accountId, epoch: parent.epoch, parentId } : undefined;
  }
  if (grantId) {
    const where = { id: recordId('Grant', grantId), sealed: Not(REVOKED) };
    const grant = await manager.findOne(OauthRecord, { where, ...lock });
    return grant ? { accountId: grant.accountId!, epoch: grant.epoch! } : undefined;
  }
  const account = accountId
    ? await manager.findOne(User, { where: { id: accountId, disabledAt: IsNull() }, ...lock })
    : await clientAccount(manager, clientId!, Boolean(lock));
  return account && { accountId: account.id, epoch: account.epoch };
}

/** SQL, like the INSERT below, because services request tokens all day: docs/performance.md has the figures. */
async function clientAccount(
  manager: EntityManager,
  clientId: string,
  locked: boolean,
): Promise<Pick<User, 'id' | 'epoch'> | null> {
  const parameter = manager.connection.driver.createParameter('client', 0);
  const [account] = await manager.query<Pick<User, 'id' | 'epoch'>[]>(
    `SELECT account.id, account.epoch FROM oauth_clients client JOIN users account ON account.id = client."accountId"
     WHERE client.id = ${parameter} AND account."disabledAt" IS NULL${locked ? ' FOR SHARE' : ''}`,
    [clientId],
  );
  return account ?? null;
}

const COLUMNS = [
  'id',
  'accountId',
  'clientId',
  'grantId',
  'parentId',
  'epoch',
  'content',
  'expiresAt',
] as const;

async function insert(manager: EntityManager, rows: readonly Row[]): Promise<void> {
  const { driver } = manager.connection;
  const columns = COLUMNS.map((name) =>
    manager.connection.getMetadata(AccessToken).findColumnWithPropertyName(name)!,
  );
  const parameters: unknown[] = [];
  const tuples = rows.map((row) => {
    const placeholders = COLUMNS.map((name, i) => {
      parameters.push(driver.preparePersistentValue(row[name] ?? null, columns[i]!));
      return driver.createParameter(name, parameters.length - 1);
    });
    return `(${placeholders.join(', ')})`;
  });
  const names = COLUMNS.map((name) => `"${name}"`).join(', ');
  await manager.query(`INSERT INTO access_tokens (${names}) VALUES ${tuples.join(', ')}`, parameters);
}
