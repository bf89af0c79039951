import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { Settings } from '../config/settings.js';

/**
 * A 256-bit key for one purpose (HKDF, RFC 5869). Keys of different purposes say nothing about each other or about
 * the secret, so what leaks from one use is of no use in another.
 *
 * @param purpose names the use: `passwords/attempts`
 */
export const deriveKey = (secret: string, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `auth-atlas/${purpose}`, 32)));

/** The keys of one purpose: what is new is made with the first, what is old may still be read with the others. */
export class DerivedKeys {
  readonly current: { readonly id: string; readonly key: KeyObject };
  private readonly keys: ReadonlyMap<string, KeyObject>;

  constructor({ appSecret, previousAppSecret }: Settings, purpose: string) {
    const keys = [appSecret, previousAppSecret]
      .filter((secret) => secret !== undefined)
      .map((secret) => deriveKey(secret, purpose));
    const named = keys.map((key): [string, KeyObject] => [idOf(key), key]);
    this.keys = new Map(named);
    this.current = { id: named[0]![0], key: named[0]![1] };
  }

  /** Both, the current one first. */
  get all(): readonly KeyObject[] {
    return [...this.keys.values()];
  }

  /** @returns undefined for a key of a secret that is no longer set */
  find(id: string): KeyObject | undefined {
    return this.keys.get(id);
  }
}

/** Names a key without telling anything of it. */
const idOf = (key: KeyObject) => createHash('sha256').update(key.export()).digest('hex').slice(0, 8);
