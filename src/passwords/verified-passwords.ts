import { LRUCache } from 'lru-cache';
import { createHmac, generateKeySync } from 'node:crypto';
import { networkOf } from '../config/network.js';

const LIFETIME_MS = 5 * 60_000;
const MAX_ENTRIES = 10_000;

/**
 * Remembers successful password verifications, so that not every request pays for argon2. It stores no permission: the
 * account and its hash are read on every request. The hash is part of the key, so a new password invalidates the
 * entries of the old one in every process.
 *
 * The address is part of the key too. Otherwise a blocked address (429) could guess for free: an entry from the
 * owner's address would confirm the right guess.
 */
export class VerifiedPasswords {
  // Random and kept in memory only, so hashes in a copy of the cache cannot be cracked.
  private readonly key = generateKeySync('hmac', { length: 256 });
  private readonly verified = new LRUCache<string, true>({
    max: MAX_ENTRIES,
    ttl: LIFETIME_MS,
    // Tests replace the clock after the library is loaded; without this it would keep the first one.
    perf: performance,
  });
  private readonly pending = new Map<string, Promise<void>>();

  /**
   * Runs `verify` unless it succeeded for the same claim in the last five minutes. Concurrent calls share one run.
   *
   * @param ip the client's address
   * @param claim the verified values: username, password, stored hash
   * @param verify rejects if the verification fails; failures are not remembered
   */
  async once(ip: string, claim: readonly string[], verify: () => Promise<void>): Promise<void> {
    // JSON, so that two different claims never produce the same text.
    const text = JSON.stringify([networkOf(ip), ...claim]);
    const id = createHmac('sha256', this.key).update(text).digest('base64');
    if (this.verified.has(id)) return;
    let run = this.pending.get(id);
    if (!run) {
      run = verify()
        .then(() => void this.verified.set(id, true))
        .finally(() => this.pending.delete(id));
      this.pending.set(id, run);
    }
    await run;
  }
}
