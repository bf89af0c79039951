import type { FactoryProvider } from '@nestjs/common';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Settings } from '../config/settings.js';
import { DerivedKeys } from './derived-keys.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts secrets that must be read back, such as private keys, HMAC and TOTP secrets: AES-256-GCM with a key derived from
 * `APP_SECRET`. A sealed text is `<key id>.<base64url of IV, ciphertext and tag>`.
 */
export class SecretBox {
  private readonly keys: DerivedKeys;

  /** @param purpose selects the key: a box of another purpose cannot open what this one sealed */
  constructor(settings: Settings, purpose: string) {
    this.keys = new DerivedKeys(settings, `box/${purpose}`);
  }

  /** @param owner the id of the row that stores the sealed text: it cannot be opened for another row */
  seal(secret: string, owner: string): string {
    const { id, key } = this.keys.current;
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES }).setAAD(
      Buffer.from(owner),
    );
    const sealed = Buffer.concat([iv, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${id}.${sealed.toString('base64url')}`;
  }

  /** @throws Error if the text was altered or belongs to another row, or if its key is no longer set */
  open(sealed: string, owner: string): string {
    const [id = '', text = ''] = sealed.split('.');
    const key = this.keys.find(id);
    if (!key) throw new Error('A stored secret was encrypted with an APP_SECRET that is no longer set.');
    const bytes = Buffer.from(text, 'base64url');
    const iv = bytes.subarray(0, IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    const ciphertext = bytes.subarray(IV_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8');
  }
}

/** Provides the {@link SecretBox} of one module: `providers: [secretBoxFor('hmac-keys')]`. */
export const secretBoxFor = (purpose: string): FactoryProvider<SecretBox> => ({
  provide: SecretBox,
  inject: [Settings],
  useFactory: (settings: Settings) => new SecretBox(settings, purpose),
});
