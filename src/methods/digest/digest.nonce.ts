import { createHmac, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Settings } from '../../config/settings.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';

const GOOD_FOR = 5 * 60_000;

const [TIME, RANDOM] = [6, 10];
const FORM = /^([\da-f]{8})\.([\w-]{64})$/;

/** A nonce that this server has made. */
export interface Nonce {
  readonly id: string;
  readonly until: Date;
  /** Its time is over. */
  readonly old: boolean;
  /** Half of its time is over: who gets another one now need not come back for it. */
  readonly waning: boolean;
}

/**
 * Nonces that nobody has to remember: `<key id>.<time, randomness and a MAC of both and the realm, in base64url>`. So
 * whoever asks for a million of them takes up no memory, and each process knows those of the others.
 */
export class Nonces {
  private readonly keys: DerivedKeys;

  constructor(
    settings: Settings,
    private readonly realm: string,
  ) {
    this.keys = new DerivedKeys(settings, 'digest nonces');
  }

  fresh(now = Date.now()): string {
    const { id, key } = this.keys.current;
    const head = Buffer.alloc(TIME + RANDOM);
    head.writeUIntBE(now, 0, TIME);
    randomBytes(RANDOM).copy(head, TIME);
    return `${id}.${Buffer.concat([head, this.mac(key, head)]).toString('base64url')}`;
  }

  /** @returns undefined for what this server has not made for this realm */
  read(text: string, now = Date.now()): Nonce | undefined {
    // 48 bytes are 64 letters with no bit left over: there is one spelling of each nonce.
    const [, keyId = '', encoded = ''] = FORM.exec(text) ?? [];
    const key = this.keys.find(keyId);
    if (!key) return undefined;
    const bytes = Buffer.from(encoded, 'base64url');
    const head = bytes.subarray(0, TIME + RANDOM);
    if (!timingSafeEqual(bytes.subarray(TIME + RANDOM), this.mac(key, head))) return undefined;
    const until = head.readUIntBE(0, TIME) + GOOD_FOR;
    return {
      id: head.toString('base64url'),
      until: new Date(until),
      old: now >= until,
      waning: now >= until - GOOD_FOR / 2,
    };
  }

  private mac(key: KeyObject, head: Buffer): Buffer {
    return createHmac('sha256', key).update(head).update(this.realm).digest();
  }
}
