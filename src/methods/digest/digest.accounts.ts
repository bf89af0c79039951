import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { dateFromRow } from '../../database/raw-dates.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../../users/user-row.js';
import { normalizeUsername } from '../../users/username.js';
import type { User } from '../../users/user.entity.js';
import type { DigestAuthorization } from './digest.parser.js';
import { DigestSecrets } from './digest.secrets.js';

interface Row extends UserRow {
  readonly sealed: string;
  readonly passwordChangedAt: Date | string;
  readonly changedAt: Date | string;
}

/** What an answer has to be held against. */
export interface DigestAccount {
  readonly user: User | undefined;
  readonly sealed: string;
  readonly ha1: string;
  /** Why no answer is good, for the log; undefined where a right one is. */
  readonly flaw: string | undefined;
}

const BY = {
  username: 'account.username',
  'SHA-256': 'credential."userhashSha256"',
  'SHA-512-256': 'credential."userhashSha512256"',
} as const;

/** Looks up whose answer it is, in one query. Where nobody's, there is something to hold it against all the same. */
@Injectable()
export class DigestAccounts {
  private readonly select: string;
  private readonly parameter: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly secrets: DigestSecrets,
  ) {
    this.select =
      `SELECT credential.sealed AS sealed, credential."passwordChangedAt" AS "passwordChangedAt", ` +
      `password."changedAt" AS "changedAt", ${USER_COLUMNS} FROM digest_credentials credential ` +
      `JOIN users account ON account.id = credential."userId" ` +
      `JOIN passwords password ON password."userId" = account.id WHERE`;
    this.parameter = dataSource.driver.createParameter('name', 0);
  }

  async find(answer: DigestAuthorization): Promise<DigestAccount> {
    const row = await this.row(answer);
    const user = row && userFromRow(row);
    const kept = user ? { sealed: row.sealed, userId: user.id } : this.secrets.decoy;
    const ha1 = this.secrets.open(kept, answer.algorithm);
    const flaw = !row
      ? 'no account of that name has Digest turned on'
      : (this.flawOf(row, answer) ?? (ha1 ? undefined : `it was turned on without ${answer.algorithm}`));
    return { user, sealed: kept.sealed, ha1: ha1 ?? '', flaw };
  }

  private async row({ username, userhash, algorithm }: DigestAuthorization): Promise<Row | undefined> {
    // MD5 is for clients that know no userhash.
    const by = !userhash ? 'username' : algorithm === 'MD5' ? undefined : algorithm;
    const name = userhash ? /^[\da-f]{64}$/.exec(username)?.[0] : normalizeUsername(username);
    const sql = `${this.select} ${BY[by ?? 'username']} = ${this.parameter}`;
    const [row] = await this.dataSource.query<Row[]>(sql, [(by && name) ?? '']);
    return row;
  }

  private flawOf(row: Row, { username, userhash }: DigestAuthorization): string | undefined {
    if (row.user_disabledAt) return `the account ${row.user_id} is disabled`;
    if (dateFromRow(row.passwordChangedAt).getTime() !== dateFromRow(row.changedAt).getTime())
      return `the account ${row.user_id} has another password since`;
    // The name is part of the hash: this one has no other spelling, as usernames elsewhere have.
    if (!userhash && username !== row.user_username) return `the account ${row.user_id} has another spelling`;
    return undefined;
  }
}
