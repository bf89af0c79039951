import { LRUCache } from 'lru-cache';
import { createHmac, generateKeySync } from 'node:crypto';

const FIVE_MINUTES = 5 * 60_000;

/**
 * Remembers that a password was verified, so that not every request pays for argon2. It remembers proofs and no
 * permission: the account and its hash are read anew for every request, and because the hash is part of the key,
 * a proof of the old password does not fit the new one, in any process.
 *
 * The address is part of the key as well. Otherwise a guess from an address that is refused (429) would be answered
 * by what the owner proved elsewhere: unlimited guesses, at the price of a cache look-up each.
 */
export class VerifiedPasswords {
  // Made in memory and never written: a copy of the cache is no list of hashes to crack elsewhere.
  private readonly key = generateKeySync('hmac', { length: 256 });
  private readonly proved = new LRUCache<string, true>({
    max: 10_000,
    ttl: FIVE_MINUTES,
    // The clock as it is now: the library would keep the one that it found when it was loaded.
    perf: performance,
  });
  private readonly underWay = new Map<string, Promise<void>>();

  /**
   * Proves, where that is not proved already. The same claim made twice at once is proved once.
   * @param claim what is proved: username, password, address, stored hash
   */
  async once(claim: readonly string[], prove: () => Promise<void>): Promise<void> {
    const name = this.nameOf(claim);
    if (this.proved.has(name)) return;
    let proving = this.underWay.get(name);
    if (!proving) {
      proving = prove()
        .then(() => void this.proved.set(name, true))
        .finally(() => this.underWay.delete(name));
      this.underWay.set(name, proving);
    }
    await proving;
  }

  /** As JSON, so that no two claims run together into the same text. */
  private nameOf(claim: readonly string[]): string {
    return createHmac('sha256', this.key).update(JSON.stringify(claim)).digest('base64');
  }
}
