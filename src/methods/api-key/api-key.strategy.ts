import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { LastUsedPort } from '../../authentication/ports.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { nullableDateFromRow, nullableStringsFromRow } from '../../database/columns.js';
import type { RowFinder } from '../../database/row-finder.js';
import {
  accountOfActive,
  credentialFinder,
  matchSecret,
  scopesFromRow,
  type CredentialRow,
  type StoredSecrets,
} from '../../users/credential.js';
import { ApiKey } from './api-key.entity.js';
import { allowsAddress, hashSecret, parseKey } from './api-key.js';
import { principalOf } from '../../users/user.entity.js';

/** The code of every rejected key. The reason goes to the log only. */
const CODE = 'invalid_api_key';
const SCHEME = /^ApiKey(?: +|$)/i;

const COLUMNS = ['secretHash', 'previousHash', 'previousUntil', 'allowedIps'] as const;

interface Row extends CredentialRow {
  readonly secretHash: string;
  readonly previousHash: string | null;
  readonly previousUntil: Date | string | null;
  readonly allowedIps: string | null;
}

@Injectable()
export class ApiKeyStrategy extends PassportStrategy(Strategy, 'api-key') implements AuthStrategy {
  readonly challenge = new Challenge('ApiKey', { realm: 'auth-atlas' });

  private readonly find: RowFinder<Row>;

  constructor(
    dataSource: DataSource,
    private readonly lastUsed: LastUsedPort,
  ) {
    super();
    this.find = credentialFinder<Row>(dataSource, 'api_keys', COLUMNS);
  }

  claims(request: AuthRequest): boolean {
    return request.header('X-API-Key') !== undefined || SCHEME.test(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const parsed = parseKey(keyOf(request));
    if (!parsed) throw refused('not a key, or mistyped');
    const key = await this.find(parsed.id);
    const now = new Date();
    // An unknown key is compared as well, so that it takes as long as a known one.
    const hash = hashSecret(parsed.secret);
    const match = matchSecret(storedHashes(key), (stored) => constantTimeEqual(hash, stored));
    if (!key || !match) throw refused('unknown key or wrong secret');
    const account = accountOfActive(key, refused);
    const allowedIps = nullableStringsFromRow(key.allowedIps);
    if (allowedIps && !allowsAddress(allowedIps, request.ip))
      throw refused(`the key ${key.id} is not allowed from ${request.ip}`).ofAccount(account);
    const proof = {
      method: 'api-key',
      credentialId: key.id,
      at: now,
      amr: [],
      bound: false,
      ...match,
    } as const;
    const principal = principalOf(account, proof, refused, scopesFromRow(key));
    this.lastUsed.touch(ApiKey, 'lastUsedAt', key.id, nullableDateFromRow(key.lastUsedAt));
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

function storedHashes(key: Row | undefined): StoredSecrets {
  if (!key) return { current: hashSecret(''), previous: null, previousUntil: null };
  const { secretHash: current, previousHash: previous, previousUntil } = key;
  return { current, previous, previousUntil };
}

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
