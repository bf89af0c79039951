import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { InjectRepository } from '@nestjs/typeorm';
import { Strategy } from 'passport-custom';
import type { Repository } from 'typeorm';
import {
  BadCredential,
  Challenge,
  type AuthRequest,
  type AuthStrategy,
  type Principal,
} from '../../auth/index.js';
import { LastSeen } from '../../database/index.js';
import { principalOf } from '../../users/index.js';
import { ApiKey } from './api-key.entity.js';
import { allowsAddress, hashSecret, parseKey, sameHash } from './api-key.js';

/** One code for every wrong key, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_api_key';
const SCHEME = /^ApiKey(?: +|$)/i;

@Injectable()
export class ApiKeyStrategy extends PassportStrategy(Strategy, 'api-key') implements AuthStrategy {
  readonly challenge = new Challenge('ApiKey', { realm: 'auth-atlas' });

  constructor(
    @InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>,
    private readonly lastSeen: LastSeen,
  ) {
    super();
  }

  claims(request: AuthRequest): boolean {
    return request.header('X-API-Key') !== undefined || SCHEME.test(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const parsed = parseKey(keyOf(request));
    if (!parsed) throw refused('not a key, or mistyped');
    const key = await this.keys.findOne({ where: { id: parsed.id }, relations: { user: true } });
    const now = new Date();
    // Both are compared whether or not the first matches, and for an unknown key as well.
    const hash = hashSecret(parsed.secret);
    const current = sameHash(hash, key?.secretHash);
    const previous = sameHash(hash, key?.previousHash) && (key?.previousUntil ?? now) > now;
    if (!key || !(current || previous)) throw refused('unknown key or wrong secret');
    if (key.revokedAt) throw refused(`the key ${key.id} is revoked`);
    if (key.expiresAt && key.expiresAt <= now) throw refused(`the key ${key.id} has expired`);
    if (key.allowedIps && !allowsAddress(key.allowedIps, request.ip))
      throw refused(`the key ${key.id} is not allowed from ${request.ip}`);
    const proof = { method: 'api-key', credentialId: key.id, at: now, amr: [], bound: false } as const;
    const principal = principalOf(key.user, proof, refused, key.scopes);
    this.lastSeen.touch(ApiKey, 'lastUsedAt', key.id, key.lastUsedAt);
    return principal;
  }
}

function keyOf(request: AuthRequest): string {
  const header = request.header('X-API-Key');
  const authorization = request.header('Authorization');
  if (header !== undefined && authorization !== undefined)
    throw new BadRequestException({ code: 'ambiguous_credentials', detail: 'Send the key in one header.' });
  return header ?? authorization?.replace(SCHEME, '') ?? '';
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
