import { hash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { Settings } from '../config/settings.js';

/**
 * Derives a 256-bit key for one purpose (HKDF, RFC 5869). Keys of different purposes are independent: a leaked key reveals
 * neither the others nor the secret.
 *
 * @param purpose for example `passwords/attempts`
 */
export const deriveKey = (secret: string, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `auth-atlas/${purpose}`, 32)));

/** The keys of one purpose, from `APP_SECRET` and `APP_SECRET_PREVIOUS`. Only the current one creates new data. */
export class DerivedKeys {
  readonly current: { readonly id: string; readonly key: KeyObject };
  private readonly keys: ReadonlyMap<string, KeyObject>;

  constructor({ appSecret, previousAppSecret }: Settings, purpose: string) {
    const keys = [appSecret, previousAppSecret]
      .filter((secret) => secret !== undefined)
      .map((secret) => deriveKey(secret, purpose));
    const keysById = keys.map((key): [string, KeyObject] => [keyId(key), key]);
    this.keys = new Map(keysById);
    this.current = { id: keysById[0]![0], key: keysById[0]![1] };
  }

  /** The current key comes first. */
  get all(): readonly KeyObject[] {
    return [...this.keys.values()];
  }

  /** @returns undefined if the secret of this key is no longer set */
  find(id: string): KeyObject | undefined {
    return this.keys.get(id);
  }
}

/** Eight hexadecimal digits of the key's SHA-256. They reveal nothing about the key. */
const keyId = (key: KeyObject) => hash('sha256', key.export(), 'hex').slice(0, 8);
