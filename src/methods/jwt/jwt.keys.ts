import { Injectable } from '@nestjs/common';
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Settings } from '../../config/settings.js';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { jwtConfig } from './jwt.config.js';

/** The `kid` of the one HS256 key. */
const SHARED = 'hs256';

/** The keys of access tokens. Always KeyObjects: a string would be parsed anew at every verification. */
@Injectable()
export class JwtKeys {
  readonly algorithm: 'ES256' | 'HS256';
  private readonly secret: KeyObject | undefined;

  constructor(
    private readonly keys: SigningKeys,
    settings: Settings,
  ) {
    const { hs256Secret } = jwtConfig(settings);
    this.algorithm = hs256Secret ? 'HS256' : 'ES256';
    this.secret = hs256Secret ? createSecretKey(Buffer.from(hs256Secret)) : undefined;
  }

  async active(manager: EntityManager): Promise<{ kid: string; key: KeyObject }> {
    return this.secret ? { kid: SHARED, key: this.secret } : this.keys.active(manager);
  }

  /** @returns undefined for a key that nobody has; the row of one that is there says whether it is retired */
  find(kid: string): KeyObject | undefined | Promise<KeyObject | undefined> {
    if (this.secret) return kid === SHARED ? this.secret : undefined;
    return this.keys.find(kid);
  }
}
