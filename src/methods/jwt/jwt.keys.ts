import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { JwtService as NestJwtService } from '@nestjs/jwt';
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { SigningKeys } from '../../crypto/signing-keys.service.js';
import { jwtConfig } from './jwt.config.js';
import type { AccessClaims } from './jwt.js';

const HS256_KID = 'hs256';

/** The keys of access tokens, as KeyObjects: jsonwebtoken parses a text key anew for every verification. */
@Injectable()
export class JwtKeys {
  readonly algorithm: 'ES256' | 'HS256';
  private readonly secret: KeyObject | undefined;

  constructor(
    private readonly keys: SigningKeys,
    private readonly jwt: NestJwtService,
    @Inject(jwtConfig.KEY) { hs256Secret }: ConfigType<typeof jwtConfig>,
  ) {
    this.algorithm = hs256Secret ? 'HS256' : 'ES256';
    this.secret = hs256Secret ? createSecretKey(Buffer.from(hs256Secret)) : undefined;
  }

  /** Signs an access token (RFC 9068) with the active key. */
  async sign(manager: EntityManager, claims: AccessClaims): Promise<string> {
    const { kid, key } = this.secret ? { kid: HS256_KID, key: this.secret } : await this.keys.active(manager);
    return this.jwt.sign(claims, {
      algorithm: this.algorithm,
      header: { alg: this.algorithm, typ: 'at+jwt', kid },
      privateKey: key,
    });
  }

  /** The key that verifies tokens of this `kid`. It may be retired: the strategy checks that on every request. */
  async find(kid: string): Promise<KeyObject | undefined> {
    if (!this.secret) return this.keys.find(kid);
    return kid === HS256_KID ? this.secret : undefined;
  }
}
