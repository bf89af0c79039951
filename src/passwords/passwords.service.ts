import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { DataSource } from 'typeorm';
import { BadCredential } from '../authentication/challenge.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../users/user-row.js';
import { normalizeUsername } from '../users/username.js';
import type { User } from '../users/user.entity.js';
import { LoginAttempts } from './login-attempts.service.js';
import { PasswordHashing } from './password-hashing.service.js';
import { VerifiedPasswords } from './verified-passwords.js';
import { TooManySignIns } from './passwords.errors.js';
import { networkOf } from '../rate-limits/network.js';

/** Node's thread pool has four threads, which files and DNS need too. */
const AT_ONCE = 2;
const WAITING = 16;

/** A password at rest, with its account as it stands now. */
interface Found {
  readonly hash: string;
  readonly user: User;
}

/** The one place where a password is verified, whichever way it came in. */
@Injectable()
export class PasswordsService {
  private readonly proofs = new VerifiedPasswords();
  private readonly slots = pLimit(AT_ONCE);

  private readonly sql: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly hashing: PasswordHashing,
    private readonly attempts: LoginAttempts,
  ) {
    this.sql =
      `SELECT password.hash AS hash, ${USER_COLUMNS} FROM users account ` +
      `JOIN passwords password ON password."userId" = account.id ` +
      `WHERE account.username = ${dataSource.driver.createParameter('username', 0)}`;
  }

  /**
   * The account whose password this is. An unknown name, an account that is disabled or has no password, an empty
   * part and a wrong password cost the same and look the same.
   *
   * @param ip the client's address
   * @throws BadCredential `invalid_credentials`
   * @throws TooManyAttempts after too many failures for the account or from the address
   * @throws Busy where too many passwords are being verified at this moment
   */
  async verify(username: string, password: string, ip: string): Promise<User> {
    return (await this.prove(username, password, ip)).user;
  }

  /**
   * As {@link verify}; also gives the hash that was held against the password, so that a new one can take the place
   * of this one and of no other.
   */
  async prove(username: string, password: string, ip: string): Promise<Found> {
    const name = normalizeUsername(username) ?? '';
    const row = await this.find(name);
    const found = password && !row?.user.disabledAt ? row : undefined;
    const hash = found?.hash ?? this.hashing.decoy;
    const address = networkOf(ip);

    await this.proofs.once([username, password, address, hash], async () => {
      const attempt = await this.attempts.of(name || username, row?.user.id ?? '', address);
      await this.attempts.refuseIfFull(attempt);
      await this.inSlot(async () => {
        await this.attempts.count(attempt);
        const right = await this.hashing.verify(hash, password);
        if (!right || !found) throw refused(row);
        await this.attempts.succeeded(attempt, found.user.id, address);
      });
    });
    if (!found) throw refused(row);
    return found;
  }

  /** The hash of a new password. It waits its turn like a verification, which costs the same. */
  hash(password: string): Promise<string> {
    return this.inSlot(() => this.hashing.hash(password));
  }

  private async find(username: string): Promise<Found | undefined> {
    const [row] = await this.dataSource.query<(UserRow & { hash: string })[]>(this.sql, [username]);
    return row && { hash: row.hash, user: userFromRow(row) };
  }

  private inSlot<T>(work: () => Promise<T>): Promise<T> {
    if (this.slots.activeCount >= AT_ONCE && this.slots.pendingCount >= WAITING) throw new TooManySignIns();
    return this.slots(work);
  }
}

/** One code for all; the log learns which account, and never what was typed. */
function refused(row: Found | undefined): BadCredential {
  const reason = !row
    ? 'no account of that name has a password'
    : row.user.disabledAt
      ? `the account ${row.user.id} is disabled`
      : `wrong password for the account ${row.user.id}`;
  const refusal = new BadCredential('invalid_credentials', reason);
  return row ? refusal.ofAccount(row.user) : refusal;
}
