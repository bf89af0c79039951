import { errors, type AdapterPayload } from 'oidc-provider';
import { IsNull, Not, type DataSource, type EntityManager, type QueryDeepPartialEntity } from 'typeorm';
import { AccessToken } from '../access-tokens/access-token.entity.js';
import { isPostgres } from '../database/columns.js';
import { User } from '../users/user.entity.js';
import { ENDED, digestOf } from './endings.js';
import { exchangedFor } from './grants/exchanged-for.js';
import { OauthRecord } from './record.entity.js';

type Row = QueryDeepPartialEntity<AccessToken>;

interface Waiting {
  readonly payload: AdapterPayload;
  /** The row of the token that it is exchanged for. */
  readonly parentId: string | undefined;
  readonly row: Row;
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

/** Whose token it will be, and as of when. */
interface Whose {
  readonly accountId: string;
  readonly epoch: number;
  readonly parentId?: string;
}

/** So many rows a statement may write. */
const MOST = 1_000;

/**
 * Keeps new access tokens. All that are made in one turn of the event loop are written by one transaction, because a commit
 * costs more than a row; each is answered after its own is committed.
 */
export class Issuance {
  private waiting: Waiting[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Keeps a token under its row's name. Where the consent that it is made for, or the token that it is exchanged for, has
   * ended meanwhile, it is dead when it arrives.
   * @param expiresIn seconds
   * @throws UnauthorizedClient where it is for a client in its own name, and that has no account that may be used
   */
  keep(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const { jti: _jti, exp: _exp, accountId: _account, clientId = '', grantId = null, ...content } = payload;
    const expiresAt = new Date(Date.now() + expiresIn * 1000);
    const parentId = exchangedFor.getStore()?.token.id;
    const row = {
      id,
      clientId,
      grantId,
      parentId: null,
      content: { ...content, grantId },
      expiresAt,
    } as unknown as Row;
    return new Promise((settle, fail) => {
      if (!this.waiting.length) setImmediate(() => void this.write());
      this.waiting.push({ payload, parentId, row, settle, fail });
    });
  }

  private async write(): Promise<void> {
    const batch = this.waiting;
    this.waiting = [];
    try {
      const found = await this.dataSource.transaction((manager) => keepAll(manager, batch));
      batch.forEach(({ settle, fail }, i) => (found[i] === null ? fail(noAccount()) : settle()));
    } catch (error) {
      for (const { fail } of batch) fail(error);
    }
  }
}

const noAccount = () => new errors.UnauthorizedClient('the client has no account of its own');

async function keepAll(manager: EntityManager, batch: readonly Waiting[]) {
  const known = new Map<string, Whose | null | undefined>();
  const found: (Whose | null | undefined)[] = [];
  for (const { payload, parentId } of batch) {
    const key = JSON.stringify([parentId, payload.grantId, payload.accountId, payload.clientId]);
    if (!known.has(key)) known.set(key, await speaksFor(manager, payload, parentId));
    found.push(known.get(key));
  }
  const rows = batch.flatMap(({ row }, i): Row[] => (found[i] ? [{ ...row, ...found[i] }] : []));
  for (let from = 0; from < rows.length; from += MOST) await insert(manager, rows.slice(from, from + MOST));
  return found;
}

/**
 * That of the token that it is exchanged for; or the account that has consented, as it was then; or the client's own, as it
 * is now. The row that says so is held until the token is there: who ends it waits, and finds the token.
 * @returns undefined where the consent, or the other token, has ended; null where there is no account
 */
async function speaksFor(
  manager: EntityManager,
  { accountId, grantId, clientId }: AdapterPayload,
  parentId: string | undefined,
): Promise<Whose | null | undefined> {
  const lock = isPostgres(manager.connection) && { lock: { mode: 'pessimistic_read' as const } };
  if (parentId) {
    const parent = await manager.findOne(AccessToken, { where: { id: parentId }, ...lock });
    return parent ? { accountId: parent.accountId, epoch: parent.epoch, parentId } : undefined;
  }
  if (grantId) {
    const where = { id: digestOf('Grant', grantId), sealed: Not(ENDED) };
    const consent = await manager.findOne(OauthRecord, { where, ...lock });
    return consent ? { accountId: consent.accountId!, epoch: consent.epoch! } : undefined;
  }
  const account = accountId
    ? await manager.findOne(User, { where: { id: accountId, disabledAt: IsNull() }, ...lock })
    : await ownAccount(manager, clientId!, Boolean(lock));
  return account && { accountId: account.id, epoch: account.epoch };
}

/** In plain SQL, as is what follows: this is what a service asks for all day. */
async function ownAccount(
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
    const marks = COLUMNS.map((name, i) => {
      parameters.push(driver.preparePersistentValue(row[name] ?? null, columns[i]!));
      return driver.createParameter(name, parameters.length - 1);
    });
    return `(${marks.join(', ')})`;
  });
  const names = COLUMNS.map((name) => `"${name}"`).join(', ');
  await manager.query(`INSERT INTO access_tokens (${names}) VALUES ${tuples.join(', ')}`, parameters);
}
