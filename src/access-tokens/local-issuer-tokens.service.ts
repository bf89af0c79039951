import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { hash, verify } from 'node:crypto';
import { DataSource, LessThan } from 'typeorm';
import { Settings } from '../config/settings.js';
import { readAccessToken } from '../crypto/jws.js';
import { RETIRED_KEY_GRACE_MS, SigningKeys } from '../crypto/signing-keys.service.js';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { dateFromRow, nullableDateFromRow, parsedJson } from '../database/columns.js';
import { rowFinder, type RowFinder } from '../database/row-finder.js';
import { SCOPES } from '../permissions.js';
import { type User, USER_COLUMNS, userFromRow, type UserRow } from '../users/user.entity.js';
import { parseClaims, validityFault, type AccessTokenClaims } from './access-token-claims.js';
import { AccessToken, accessTokenId, type AccessTokenContent } from './access-token.entity.js';
import { invalidToken, type ResolvedToken } from './verified-token.js';

const ALGORITHM = 'ES256';
const MAX_CACHED_TOKENS = 10_000;

/** The unchanging part of a JWT whose form and signature are valid. */
interface VerifiedJwt {
  readonly kid: string;
  readonly id: string;
  readonly claims: AccessTokenClaims;
}

interface TokenRow extends UserRow {
  readonly clientId: string;
  readonly tokenEpoch: number;
  readonly expiresAt: Date | string;
}

/**
 * The tokens of this server's authorization server. A JWT's signature is verified once and then cached. Its row,
 * account and signing key can change, so every request reads them in one SQL query (docs/performance.md).
 */
@Injectable()
export class LocalIssuerTokens extends HourlyCleanup {
  readonly issuer: string;
  private readonly audience: string;
  private readonly verifiedJwts = new LRUCache<string, VerifiedJwt>({ max: MAX_CACHED_TOKENS });
  private readonly findJwt: RowFinder<TokenRow & { retiredAt: Date | string | null }>;
  private readonly findOpaque: RowFinder<TokenRow & { content: string }>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly keys: SigningKeys,
    { publicUrl }: Settings,
  ) {
    super();
    this.issuer = `${publicUrl}/oidc`;
    this.audience = publicUrl;
    const columns = `${USER_COLUMNS}, token."clientId" AS "clientId", token.epoch AS "tokenEpoch",
      token."expiresAt" AS "expiresAt"`;
    this.findJwt = rowFinder(
      dataSource,
      `SELECT ${columns}, "key"."retiredAt" AS "retiredAt" FROM access_tokens token
       JOIN users account ON account.id = token."accountId"
       JOIN signing_keys "key" ON "key".kid = ?
       WHERE token.id = ?`,
    );
    this.findOpaque = rowFinder(
      dataSource,
      `SELECT ${columns}, token.content AS content FROM access_tokens token
       JOIN users account ON account.id = token."accountId" WHERE token.id = ?`,
    );
  }

  /** @throws BadCredential */
  async jwt(token: string): Promise<ResolvedToken> {
    const digest = hash('sha256', token, 'base64url');
    let verified = this.verifiedJwts.get(digest);
    if (!verified) this.verifiedJwts.set(digest, (verified = await this.verifyJwt(token)));
    const { kid, id, claims } = verified;
    const now = Date.now();
    const fault = validityFault(claims, now);
    if (fault) throw invalidToken(fault);
    const row = await this.findJwt(kid, id);
    if (!row) throw invalidToken('the token was revoked, or its key was deleted');
    const account = accountFromRow(row, now);
    const retiredAt = nullableDateFromRow(row.retiredAt);
    if (retiredAt && retiredAt.getTime() + RETIRED_KEY_GRACE_MS <= now)
      throw invalidToken('the signing key is retired').ofAccount(account);
    if (!namesMatch(claims, account, row.clientId))
      throw invalidToken('sub or client_id differs from the row').ofAccount(account);
    return this.resolved(account, id, claims);
  }

  /**
   * @returns undefined for a token that this server did not issue
   * @throws BadCredential
   */
  async opaque(token: string): Promise<ResolvedToken | undefined> {
    const id = accessTokenId('opaque', token);
    const row = await this.findOpaque(id);
    if (!row) return undefined;
    const account = accountFromRow(row, Date.now());
    const content = parsedJson(row.content) as AccessTokenContent;
    if (content.aud !== this.audience) throw invalidToken('wrong audience').ofAccount(account);
    const claims = parseClaims(claimsFromRow(content, row));
    if (typeof claims === 'string') throw invalidToken(claims).ofAccount(account);
    return this.resolved(account, id, claims);
  }

  /** Deletes expired tokens. */
  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { expiresAt: LessThan(new Date()) });
  }

  /** Checks the form, then the key, then the signature, then the claims. */
  private async verifyJwt(token: string): Promise<VerifiedJwt> {
    const jws = readAccessToken(token, ALGORITHM);
    if (!jws) throw invalidToken('malformed JWT');
    const { kid, signingInput, signature } = jws;
    const key = await this.keys.find(kid);
    if (!key) throw invalidToken('unknown kid');
    if (!verify('sha256', signingInput, { key, dsaEncoding: 'ieee-p1363' }, signature))
      throw invalidToken('invalid signature');
    const { iss, aud, jti } = jws.claims;
    if (iss !== this.issuer) throw invalidToken('wrong issuer');
    // Exactly one audience: another API that also accepts the token could replay it here.
    if (aud !== this.audience) throw invalidToken('wrong audience');
    if (typeof jti !== 'string' || !jti) throw invalidToken('missing jti');
    const claims = parseClaims(jws.claims);
    if (typeof claims === 'string') throw invalidToken(claims);
    if (!claims.client_id || claims.iat === undefined) throw invalidToken('missing client_id or iat');
    return { kid, id: accessTokenId('jwt', jti), claims };
  }

  private resolved(account: User, credentialId: string, claims: AccessTokenClaims): ResolvedToken {
    return { account, issuer: this.issuer, credentialId, allowedScopes: SCOPES, claims };
  }
}

/** @throws BadCredential if the token has expired, or all sign-ins of the account were ended */
function accountFromRow(row: TokenRow, now: number): User {
  const account = userFromRow(row);
  if (dateFromRow(row.expiresAt).getTime() <= now) throw invalidToken('expired').ofAccount(account);
  if (row.tokenEpoch !== account.epoch)
    throw invalidToken('all sign-ins of the account were ended').ofAccount(account);
  return account;
}

/**
 * Whether `sub` and `client_id` agree with the row. For the client credentials grant `sub` is the client id
 * (RFC 9068 section 2.2). The account must then be a client's: a client named like a user is not that user.
 */
function namesMatch({ sub, client_id }: AccessTokenClaims, account: User, clientId: string): boolean {
  if (client_id !== clientId) return false;
  return sub === clientId ? account.kind === 'client' : sub === account.id;
}

/** The content of a row as JWT claims. */
function claimsFromRow({ jkt, 'x5t#S256': x5t, scope, rar, iat, extra }: AccessTokenContent, row: TokenRow) {
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
