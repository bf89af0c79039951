import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { DataSource } from 'typeorm';
import { BadCredential } from '../auth/index.js';
import { usernameOf, type User } from '../users/index.js';
import { Attempts } from './attempts.js';
import { Hashing } from './hashing.js';
import { networkOf } from './network.js';
import { Password } from './password.entity.js';
import { Proofs } from './proofs.js';
import { Busy } from './refusals.js';

/** Node's thread pool has four threads, which files and DNS need too. */
const AT_ONCE = 2;
const WAITING = 16;

/** The one place where a password is verified, whichever way it came in. */
@Injectable()
export class Passwords {
  private readonly proofs = new Proofs();
  private readonly slots = pLimit(AT_ONCE);

  constructor(
    private readonly dataSource: DataSource,
    private readonly hashing: Hashing,
    private readonly attempts: Attempts,
  ) {}

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
  async prove(username: string, password: string, ip: string): Promise<{ user: User; hash: string }> {
    const name = usernameOf(username) ?? '';
    const row = await this.find(name);
    const found =
      password && row?.user && !row.user.disabledAt ? { hash: row.hash, user: row.user } : undefined;
    const hash = found?.hash ?? this.hashing.decoy;
    const address = networkOf(ip);

    await this.proofs.once([username, password, address, hash], async () => {
      const attempt = await this.attempts.of(name || username, row?.userId ?? '', address);
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

  private find(username: string): Promise<Password | null> {
    return this.dataSource
      .createQueryBuilder(Password, 'password')
      .innerJoinAndSelect('password.user', 'user')
      .where('user.username = :username', { username })
      .getOne();
  }

  private inSlot<T>(work: () => Promise<T>): Promise<T> {
    if (this.slots.activeCount >= AT_ONCE && this.slots.pendingCount >= WAITING) throw new Busy();
    return this.slots(work);
  }
}

/** One code for all; the log learns which account, and never what was typed. */
function refused(row: Password | null): BadCredential {
  const reason = !row
    ? 'no account of that name has a password'
    : row.user?.disabledAt
      ? `the account ${row.userId} is disabled`
      : `wrong password for the account ${row.userId}`;
  return new BadCredential('invalid_credentials', reason);
}
