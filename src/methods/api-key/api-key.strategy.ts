import { BadRequestException, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import {
  BadCredential,
  Challenge,
  type AuthRequest,
  type AuthStrategy,
  type Principal,
} from '../../auth/index.js';
import { LastSeen, instantOf, instantOrNull } from '../../database/index.js';
import { USER_COLUMNS, principalOf, userFrom, type UserRow } from '../../users/index.js';
import { ApiKey } from './api-key.entity.js';
import { allowsAddress, hashSecret, parseKey, sameHash } from './api-key.js';

/** One code for every wrong key, whatever is wrong with it; the log has the reason. */
const CODE = 'invalid_api_key';
const SCHEME = /^ApiKey(?: +|$)/i;

const COLUMNS = [
  'id',
  'secretHash',
  'previousHash',
  'previousUntil',
  'scopes',
  'allowedIps',
  'expiresAt',
  'lastUsedAt',
  'revokedAt',
]
  .map((column) => `credential."${column}"`)
  .join(', ');

/** A key with its account, as plain SQL reads them: one query, and no entities made of it. */
interface Row extends UserRow {
  readonly id: string;
  readonly secretHash: string;
  readonly previousHash: string | null;
  readonly previousUntil: Date | string | null;
  readonly scopes: string | null;
  readonly allowedIps: string | null;
  readonly expiresAt: Date | string | null;
  readonly lastUsedAt: Date | string | null;
  readonly revokedAt: Date | string | null;
}

@Injectable()
export class ApiKeyStrategy extends PassportStrategy(Strategy, 'api-key') implements AuthStrategy {
  readonly challenge = new Challenge('ApiKey', { realm: 'auth-atlas' });

  private readonly sql: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly lastSeen: LastSeen,
  ) {
    super();
    this.sql =
      `SELECT ${COLUMNS}, ${USER_COLUMNS} FROM api_keys credential ` +
      `JOIN users account ON account.id = credential."userId" ` +
      `WHERE credential.id = ${dataSource.driver.createParameter('id', 0)}`;
  }

  claims(request: AuthRequest): boolean {
    return request.header('X-API-Key') !== undefined || SCHEME.test(request.header('Authorization') ?? '');
  }

  async validate(request: AuthRequest): Promise<Principal> {
    const parsed = parseKey(keyOf(request));
    if (!parsed) throw refused('not a key, or mistyped');
    const [key] = await this.dataSource.query<Row[]>(this.sql, [parsed.id]);
    const now = new Date();
    // Both are compared whether or not the first matches, and for an unknown key as well.
    const hash = hashSecret(parsed.secret);
    const current = sameHash(hash, key?.secretHash);
    const previous = sameHash(hash, key?.previousHash) && instantOf(key?.previousUntil ?? now) > now;
    if (!key || !(current || previous)) throw refused('unknown key or wrong secret');
    const account = userFrom(key);
    if (key.revokedAt) throw refused(`the key ${key.id} is revoked`).about(account);
    if (key.expiresAt && instantOf(key.expiresAt) <= now)
      throw refused(`the key ${key.id} has expired`).about(account);
    if (key.allowedIps && !allowsAddress(JSON.parse(key.allowedIps) as string[], request.ip))
      throw refused(`the key ${key.id} is not allowed from ${request.ip}`).about(account);
    const proof = { method: 'api-key', credentialId: key.id, at: now, amr: [], bound: false } as const;
    const scopes = key.scopes === null ? null : (JSON.parse(key.scopes) as string[]);
    const principal = principalOf(account, proof, refused, scopes);
    this.lastSeen.touch(ApiKey, 'lastUsedAt', key.id, instantOrNull(key.lastUsedAt));
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
