import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Settings } from '../config/settings.js';
import { DerivedKeys } from './derived-keys.js';

const [IV, TAG] = [12, 16];

/**
 * Keeps secrets that must be read again (private keys, HMAC and TOTP secrets): AES-256-GCM under a key from
 * `APP_SECRET`. A sealed text is `<key id>.<iv, ciphertext and tag in base64url>`.
 */
export class SecretBox {
  private readonly keys: DerivedKeys;

  /** @param purpose names the use: what one box has sealed, no other opens */
  constructor(settings: Settings, purpose: string) {
    this.keys = new DerivedKeys(settings, `box/${purpose}`);
  }

  /** @param owner names the row it belongs to, so that it opens nowhere else */
  seal(secret: string, owner: string): string {
    const { id, key } = this.keys.current;
    const iv = randomBytes(IV);
    const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG }).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([iv, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${id}.${sealed.toString('base64url')}`;
  }

  /** @throws Error where it was altered, is another row's, or its key is no longer set */
  open(sealed: string, owner: string): string {
    const [id = '', text = ''] = sealed.split('.');
    const key = this.keys.find(id);
    if (!key) throw new Error('A stored secret was encrypted with an APP_SECRET that is no longer set.');
    const bytes = Buffer.from(text, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV), { authTagLength: TAG })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(-TAG));
    return Buffer.concat([decipher.update(bytes.subarray(IV, -TAG)), decipher.final()]).toString('utf8');
  }
}
