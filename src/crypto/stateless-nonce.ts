import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import type { Settings } from '../config/settings.js';
import { constantTimeEqual } from './constant-time.js';
import { DerivedKeys } from './derived-keys.js';

const TIME_BYTES = 6;
const MAC_BYTES = 32;

export interface StatelessNonceOptions {
  /** Names the key that is derived from `APP_SECRET`. A nonce of another purpose is rejected. */
  readonly purpose: string;
  /** Covered by the MAC: a realm, or the URL of this server. */
  readonly context: string;
  readonly lifetimeMs: number;
  /** Random bytes that make each nonce unique. Use 0 if two equal nonces of one millisecond do no harm. */
  readonly randomBytes: number;
}

/** A nonce that this server issued. It may have expired. */
export interface StatelessNonce {
  /** Time and random bytes, in base64url. */
  readonly id: string;
  readonly expiresAt: Date;
  readonly expired: boolean;
  /** Half of the lifetime is over: send the client the next nonce. */
  readonly renewalDue: boolean;
}

/**
 * Nonces that are verified without being stored: `<key id>.<base64url of time, random bytes and MAC>`. Issuing them costs no
 * memory, and every process accepts the nonces of the others. The caller limits how often one nonce is used.
 */
export class StatelessNonces {
  private readonly keys: DerivedKeys;
  private readonly headBytes: number;
  private readonly macBytes: number;
  private readonly format: RegExp;

  constructor(
    settings: Settings,
    private readonly options: StatelessNonceOptions,
  ) {
    this.keys = new DerivedKeys(settings, options.purpose);
    this.headBytes = TIME_BYTES + options.randomBytes;
    // A multiple of three bytes leaves no unused bits in base64url, so each nonce has one spelling.
    const bytes = this.headBytes + MAC_BYTES - ((this.headBytes + MAC_BYTES) % 3);
    this.macBytes = bytes - this.headBytes;
    this.format = new RegExp(`^([\\da-f]{8})\\.([\\w-]{${(bytes / 3) * 4}})$`);
  }

  issue(now = Date.now()): string {
    const { id, key } = this.keys.current;
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(now, 0, TIME_BYTES);
    const head = Buffer.concat([time, randomBytes(this.options.randomBytes)]);
    return `${id}.${Buffer.concat([head, this.mac(key, head)]).toString('base64url')}`;
  }

  /** @returns undefined for a text that this server did not issue for this purpose and context */
  verify(text: string, now = Date.now()): StatelessNonce | undefined {
    const [, keyId = '', encoded = ''] = this.format.exec(text) ?? [];
    const key = this.keys.find(keyId);
    if (!key) return undefined;
    const bytes = Buffer.from(encoded, 'base64url');
    const head = bytes.subarray(0, this.headBytes);
    if (!constantTimeEqual(bytes.subarray(this.headBytes), this.mac(key, head))) return undefined;
    const { lifetimeMs } = this.options;
    const expiresAt = head.readUIntBE(0, TIME_BYTES) + lifetimeMs;
    return {
      id: head.toString('base64url'),
      expiresAt: new Date(expiresAt),
      expired: now >= expiresAt,
      renewalDue: now >= expiresAt - lifetimeMs / 2,
    };
  }

  private mac(key: KeyObject, head: Buffer): Buffer {
    const mac = createHmac('sha256', key).update(head).update(this.options.context).digest();
    return mac.subarray(0, this.macBytes);
  }
}
