import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { DataSource } from 'typeorm';
import { BadCredential } from '../authentication/challenge.js';
import { rowFinder, type RowFinder } from '../database/row-finder.js';
import { normalizeUsername } from '../users/username.js';
import { type User, USER_COLUMNS, userFromRow, type UserRow } from '../users/user.entity.js';
import { LoginAttempts } from './login-attempts.service.js';
import { PasswordHashing } from './password-hashing.service.js';
import { TooManySignIns } from './too-many-sign-ins.js';
import { VerifiedPasswords } from './verified-passwords.js';

/** Node's thread pool has four threads; files and DNS use it too. */
const MAX_CONCURRENT_HASHES = 2;
const MAX_WAITING_HASHES = 16;

/** An account with its stored password hash. */
export interface PasswordAccount {
  readonly user: User;
  readonly hash: string;
}

/** Verifies passwords for every method and page that accepts one. */
@Injectable()
export class PasswordsService {
  private readonly verified = new VerifiedPasswords();
  private readonly queue = pLimit(MAX_CONCURRENT_HASHES);
  private readonly findByUsername: RowFinder<UserRow & { hash: string }>;

  constructor(
    dataSource: DataSource,
    private readonly hashing: PasswordHashing,
    private readonly attempts: LoginAttempts,
  ) {
    this.findByUsername = rowFinder(
      dataSource,
      `SELECT password.hash AS hash, ${USER_COLUMNS} FROM users account ` +
        `JOIN passwords password ON password."userId" = account.id ` +
        'WHERE account.username = ?',
    );
  }

  /**
   * Returns the account of a username and password. Every failure takes the same time and has the same error: an
   * unknown username, a disabled account, an account without a password, a wrong or empty password.
   *
   * @param ip the client's address
   * @throws BadCredential `invalid_credentials`
   * @throws TooManyAttempts after too many failures for the account or from the address
   * @throws TooManySignIns if too many passwords are being verified
   */
  async verify(username: string, password: string, ip: string): Promise<User> {
    return (await this.verifyWithHash(username, password, ip)).user;
  }

  /** As {@link verify}; also returns the hash, so that a change replaces exactly the verified password. */
  async verifyWithHash(username: string, password: string, ip: string): Promise<PasswordAccount> {
    const name = normalizeUsername(username) ?? '';
    const row = await this.find(name);
    const account = password && !row?.user.disabledAt ? row : undefined;
    const hash = account?.hash ?? this.hashing.dummyHash;

    await this.verified.once(ip, [username, password, hash], async () => {
      const attempt = await this.attempts.open(name || username, row?.user.id ?? '', ip);
      const outcome = await this.enqueue(() =>
        this.attempts.count(attempt, async () => {
          const matches = await this.hashing.verify(hash, password);
          return matches && account ? 'success' : 'failure';
        }),
      );
      if (outcome !== 'success') throw invalidCredentials(row);
    });
    if (!account) throw invalidCredentials(row);
    return account;
  }

  /**
   * Hashes a new password, in the same queue as verifications.
   * @throws TooManySignIns if the queue is full
   */
  hash(password: string): Promise<string> {
    return this.enqueue(() => this.hashing.hash(password));
  }

  private async find(username: string): Promise<PasswordAccount | undefined> {
    const row = await this.findByUsername(username);
    return row && { hash: row.hash, user: userFromRow(row) };
  }

  private enqueue<T>(work: () => Promise<T>): Promise<T> {
    const { activeCount, pendingCount } = this.queue;
    if (activeCount >= MAX_CONCURRENT_HASHES && pendingCount >= MAX_WAITING_HASHES)
      throw new TooManySignIns();
    return this.queue(work);
  }
}

/** One code for every cause. The log gets the cause and the account, but never the typed text. */
function invalidCredentials(account: PasswordAccount | undefined): BadCredential {
  if (!account) return new BadCredential('invalid_credentials', 'no account of that name has a password');
  const { user } = account;
  const reason = user.disabledAt
    ? `the account ${user.id} is disabled`
    : `wrong password for the account ${user.id}`;
  return new BadCredential('invalid_credentials', reason).ofAccount(user);
}
