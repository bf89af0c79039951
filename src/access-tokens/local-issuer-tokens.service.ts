import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { createHash, verify } from 'node:crypto';
import { DataSource } from 'typeorm';
import { Settings } from '../config/settings.js';
import { PUBLISH_BEFORE_USE_MS, SigningKeys } from '../crypto/signing-keys.service.js';
import { readAccessToken } from '../crypto/jws.js';
import { dateFromRow, nullableDateFromRow } from '../database/raw-dates.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../users/user-row.js';
import type { User } from '../users/user.entity.js';
import { idOf, type AccessTokenContent } from './access-token.entity.js';
import { readClaims, validityFault, type Claims } from './access-token-claims.js';
import { invalidToken, type Source } from './verified-token.js';
import { SCOPES } from '../permissions.js';

const ALGORITHM = 'ES256';
const REMEMBERED = 10_000;

/** What never changes of a token whose form and signature are good. */
interface Signed {
  readonly kid: string;
  readonly id: string;
  readonly claims: Claims;
}

interface Row extends UserRow {
  readonly clientId: string;
  readonly tokenEpoch: number;
  readonly expiresAt: Date | string;
}

/**
 * The tokens that our own authorization server has issued. A signature is verified once and remembered, for it cannot
 * change. What can change, the token's row, the account and the key, is read on every request, in one query.
 */
@Injectable()
export class OwnTokens {
  readonly issuer: string;
  private readonly audience: string;
  private readonly remembered = new LRUCache<string, Signed>({ max: REMEMBERED });
  private readonly jwtSql: string;
  private readonly opaqueSql: string;

  constructor(
    private readonly dataSource: DataSource,
    private readonly keys: SigningKeys,
    { publicUrl }: Settings,
  ) {
    this.issuer = `${publicUrl}/oidc`;
    this.audience = publicUrl;
    const columns = `${USER_COLUMNS}, token."clientId" AS "clientId", token.epoch AS "tokenEpoch",
      token."expiresAt" AS "expiresAt"`;
    const { driver } = dataSource;
    [this.jwtSql] = driver.escapeQueryWithParameters(
      `SELECT ${columns}, "key"."retiredAt" AS "retiredAt" FROM access_tokens token
       JOIN users account ON account.id = token."accountId"
       JOIN signing_keys "key" ON "key".kid = :kid
       WHERE token.id = :id`,
      { kid: '', id: '' },
    );
    [this.opaqueSql] = driver.escapeQueryWithParameters(
      `SELECT ${columns}, token.content AS content FROM access_tokens token
       JOIN users account ON account.id = token."accountId" WHERE token.id = :id`,
      { id: '' },
    );
  }

  /** @throws BadCredential */
  async jwt(token: string): Promise<[Source, Claims]> {
    const digest = createHash('sha256').update(token).digest('base64url');
    let signed = this.remembered.get(digest);
    if (!signed) this.remembered.set(digest, (signed = await this.signed(token)));
    const { kid, id, claims } = signed;
    const now = Date.now();
    const fault = validityFault(claims, now);
    if (fault) throw invalidToken(fault);
    const [row] = await this.dataSource.query<(Row & { retiredAt: Date | string | null })[]>(this.jwtSql, [
      kid,
      id,
    ]);
    if (!row) throw invalidToken('it was withdrawn, or its key was');
    const account = accountOf(row, now);
    const retiredAt = nullableDateFromRow(row.retiredAt);
    if (retiredAt && retiredAt.getTime() + PUBLISH_BEFORE_USE_MS <= now)
      throw invalidToken('its key is retired').ofAccount(account);
    if (!speaksFor(claims, account, row.clientId))
      throw invalidToken('it names another subject or client than its row').ofAccount(account);
    return [this.source(account, id), claims];
  }

  /** @returns undefined for a token that is none of ours
   *  @throws BadCredential */
  async opaque(token: string): Promise<[Source, Claims] | undefined> {
    const id = idOf('opaque', token);
    const [row] = await this.dataSource.query<(Row & { content: string })[]>(this.opaqueSql, [id]);
    if (!row) return undefined;
    const now = Date.now();
    const account = accountOf(row, now);
    const content = JSON.parse(row.content) as AccessTokenContent;
    if (content.aud !== this.audience) throw invalidToken('another audience').ofAccount(account);
    const claims = readClaims(claimsOf(content, row));
    if (typeof claims === 'string') throw invalidToken(claims).ofAccount(account);
    return [this.source(account, id), claims];
  }

  /** The strict form, then the key, then the signature, and only then what it says. */
  private async signed(token: string): Promise<Signed> {
    const read = readAccessToken(token, ALGORITHM);
    if (!read) throw invalidToken('not a token of the form that this server writes');
    const { kid, input, signature } = read;
    const key = await this.keys.find(kid);
    if (!key) throw invalidToken('unknown kid');
    if (!verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature))
      throw invalidToken('the signature is wrong');
    const { iss, aud, jti } = read.claims;
    if (iss !== this.issuer) throw invalidToken('another issuer');
    // One audience and ours: a token that is good elsewhere too could be replayed here from there.
    if (aud !== this.audience) throw invalidToken('another audience');
    if (typeof jti !== 'string' || !jti) throw invalidToken('no jti');
    const claims = readClaims(read.claims);
    if (typeof claims === 'string') throw invalidToken(claims);
    if (!claims.client_id || claims.iat === undefined) throw invalidToken('no client_id or iat');
    return { kid, id: idOf('jwt', jti), claims };
  }

  private source(account: User, credentialId: string): Source {
    return { account, issuer: this.issuer, credentialId, scopes: SCOPES };
  }
}

/** @throws BadCredential where the token's time, or that of the sign-in behind it, is over */
function accountOf(row: Row, now: number): User {
  const account = userFromRow(row);
  if (dateFromRow(row.expiresAt).getTime() <= now) throw invalidToken('expired').ofAccount(account);
  if (row.tokenEpoch !== account.epoch)
    throw invalidToken('all sign-ins of the account were ended').ofAccount(account);
  return account;
}

/**
 * Whether the names in a token are those of its row. A client in its own name is the subject itself (RFC 9068, section 2.2),
 * and then the account is a machine's: a client that is named like a person does not become that person.
 */
function speaksFor({ sub, client_id }: Claims, account: User, clientId: string): boolean {
  if (client_id !== clientId) return false;
  return sub === clientId ? account.kind === 'client' : sub === account.id;
}

/** What a row holds, in the words of a JWT. */
function claimsOf({ jkt, 'x5t#S256': x5t, scope, rar, iat, extra }: AccessTokenContent, row: Row) {
  return {
    ...extra,
    sub: row.user_id,
    client_id: row.clientId,
    scope,
    iat,
    exp: Math.floor(dateFromRow(row.expiresAt).getTime() / 1000),
    authorization_details: rar,
    ...((jkt || x5t) && { cnf: { jkt, 'x5t#S256': x5t } }),
  };
}
