import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { SecretBox } from '../../crypto/secret-box.js';
import { dateFromRow, nullableDateFromRow } from '../../database/columns.js';
import { rowFinder, type RowFinder } from '../../database/row-finder.js';
import { USER_COLUMNS, userFromRow, type User, type UserRow } from '../../users/user.entity.js';
import { normalizeUsername } from '../../users/username.js';
import { REALM, digestConfig } from './digest.config.js';
import { DigestCredential } from './digest.entity.js';
import { computeHa1, computeUserhash, type DigestAlgorithm } from './digest.js';
import type { DigestAuthorization } from './digest.parser.js';

/** H(A1) for each algorithm that was offered when Digest was enabled. */
type Ha1ByAlgorithm = Partial<Record<DigestAlgorithm, string>>;

/** The data that a response is verified with. For an unknown username it is a dummy. */
export interface DigestAccount {
  readonly user: User | undefined;
  /** The stored form of H(A1). */
  readonly sealed: string;
  readonly ha1: string;
  /** The reason to reject even a correct response, for the log. Undefined if it is accepted. */
  readonly fault: string | undefined;
}

/** A row as the driver returns it. */
interface Row extends UserRow {
  readonly sealed: string;
  readonly passwordChangedAt: Date | string;
  /** When the account's current password was set; null if it has none. */
  readonly changedAt: Date | string | null;
}

/** Creates, encrypts and looks up the H(A1) of accounts. */
@Injectable()
export class DigestCredentials {
  /** Verified in place of an unknown account, so that both take the same time. */
  private readonly dummy: DigestCredential;
  private readonly algorithms: readonly DigestAlgorithm[];
  private readonly findByUsername: RowFinder<Row>;
  /** Clients that need MD5 do not support userhash, so none is stored for it. */
  private readonly findByUserhash: Partial<Record<DigestAlgorithm, RowFinder<Row>>>;

  constructor(
    @Inject(digestConfig.KEY) config: Pick<ConfigType<typeof digestConfig>, 'algorithms'>,
    dataSource: DataSource,
    private readonly box: SecretBox,
  ) {
    const finderBy = (column: string) =>
      rowFinder<Row>(
        dataSource,
        `SELECT digest.sealed AS sealed, digest."passwordChangedAt" AS "passwordChangedAt",
           password."changedAt" AS "changedAt", ${USER_COLUMNS}
         FROM digest_credentials digest
         JOIN users account ON account.id = digest."userId"
         LEFT JOIN passwords password ON password."userId" = digest."userId"
         WHERE ${column} = ?`,
      );
    this.findByUsername = finderBy('account.username');
    this.findByUserhash = {
      'SHA-256': finderBy('digest."userhashSha256"'),
      'SHA-512-256': finderBy('digest."userhashSha512256"'),
    };
    this.algorithms = config.algorithms;
    const user = { id: 'dummy', username: 'dummy' };
    this.dummy = this.create(user, randomBytes(32).toString('base64'), new Date(0));
  }

  /** @param password the verified password of the account */
  create(user: Pick<User, 'id' | 'username'>, password: string, passwordChangedAt: Date): DigestCredential {
    const ha1s: Ha1ByAlgorithm = Object.fromEntries(
      this.algorithms.map((each) => [each, computeHa1(each, user.username, REALM, password)]),
    );
    return {
      userId: user.id,
      sealed: this.box.seal(JSON.stringify(ha1s), user.id),
      userhashSha256: computeUserhash('SHA-256', user.username, REALM),
      userhashSha512256: computeUserhash('SHA-512-256', user.username, REALM),
      passwordChangedAt,
      enabledAt: new Date(),
    };
  }

  /** Finds the account that a response names, by username or userhash, in one query. */
  async find(authorization: DigestAuthorization): Promise<DigestAccount> {
    const row = await this.findRow(authorization);
    const user = row && userFromRow(row);
    const sealed = row?.sealed ?? this.dummy.sealed;
    const ha1s = JSON.parse(this.box.open(sealed, user?.id ?? this.dummy.userId)) as Ha1ByAlgorithm;
    const ha1 = ha1s[authorization.algorithm];
    const fault = findFault(row, user, authorization, ha1);
    return { user, sealed, ha1: ha1 ?? '', fault };
  }

  private async findRow({ username, userhash, algorithm }: DigestAuthorization): Promise<Row | undefined> {
    if (userhash) return this.findByUserhash[algorithm]?.(username);
    return this.findByUsername(normalizeUsername(username) ?? '');
  }
}

/**
 * Whether the account still has the password that H(A1) was computed from.
 * @param changedAt when the account's current password was set; absent if it has none
 */
export const hasCurrentPassword = (passwordChangedAt: Date, changedAt: Date | null | undefined): boolean =>
  changedAt?.getTime() === passwordChangedAt.getTime();

function findFault(
  row: Row | undefined,
  user: User | undefined,
  { algorithm, username, userhash }: DigestAuthorization,
  ha1: string | undefined,
): string | undefined {
  if (!row || !user) return 'no account of that name has Digest enabled';
  if (user.disabledAt) return `the account ${user.id} is disabled`;
  if (!hasCurrentPassword(dateFromRow(row.passwordChangedAt), nullableDateFromRow(row.changedAt)))
    return `the account ${user.id} has changed its password`;
  // The hash covers the username as the account spells it. Other methods accept other spellings.
  if (!userhash && username !== user.username) return `the account ${user.id} has another spelling`;
  if (!ha1) return `Digest was enabled without ${algorithm}`;
  return undefined;
}
