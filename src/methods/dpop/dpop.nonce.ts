import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Settings } from '../../config/settings.js';
import { DerivedKeys } from '../../crypto/derived-keys.js';

const GOOD_FOR = 2 * 60_000;

/** Bytes: 36 are 48 letters with no bit left over, so there is one spelling of each nonce. */
const [TIME, MAC] = [6, 30];
const FORM = /^([\da-f]{8})\.([\w-]{48})$/;

/** A nonce that this server has made, and whose time is not over. */
export interface Nonce {
  readonly until: Date;
  /** Half of its time is over: who gets another one now need not come back for it. */
  readonly waning: boolean;
}

/**
 * Nonces that nobody has to remember: `<key id>.<time and a MAC of it and of this server's URL, in base64url>`. So each process
 * knows those of the others, and whoever asks for a million of them takes up no memory. One is good for as many proofs as
 * are made in its time: that none comes twice is for their `jti` to say. It says by the server's own clock when the proof
 * was made, so that nobody who has the key for a moment makes proofs for later.
 */
export class Nonces {
  private readonly keys: DerivedKeys;
  private readonly server: string;

  constructor(settings: Settings) {
    this.keys = new DerivedKeys(settings, 'dpop nonces');
    this.server = settings.publicUrl;
  }

  fresh(now = Date.now()): string {
    const { id, key } = this.keys.current;
    const time = Buffer.alloc(TIME);
    time.writeUIntBE(now, 0, TIME);
    return `${id}.${Buffer.concat([time, this.mac(key, time)]).toString('base64url')}`;
  }

  /** @returns undefined for what this server has not made, or too long ago */
  read(text: string, now = Date.now()): Nonce | undefined {
    const [, keyId = '', encoded = ''] = FORM.exec(text) ?? [];
    const key = this.keys.find(keyId);
    if (!key) return undefined;
    const bytes = Buffer.from(encoded, 'base64url');
    const time = bytes.subarray(0, TIME);
    if (!timingSafeEqual(bytes.subarray(-MAC), this.mac(key, time))) return undefined;
    const until = time.readUIntBE(0, TIME) + GOOD_FOR;
    return now < until ? { until: new Date(until), waning: now >= until - GOOD_FOR / 2 } : undefined;
  }

  private mac(key: KeyObject, time: Buffer): Buffer {
    return createHmac('sha256', key).update(time).update(this.server).digest().subarray(0, MAC);
  }
}
