import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import { hash, type KeyObject } from 'node:crypto';
import { Strategy } from 'passport-jwt';
import { DataSource } from 'typeorm';
import { tokenFromHeader, unverifiedIssuer } from '../../authentication/bearer.js';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { readAccessToken } from '../../crypto/jws.js';
import { RETIRED_KEY_GRACE_MS } from '../../crypto/signing-keys.service.js';
import { dateFromRow, nullableDateFromRow } from '../../database/columns.js';
import { rowFinder, type RowFinder } from '../../database/row-finder.js';
import { JwtKeys } from './jwt.keys.js';
import { accessClaimsFault, type AccessClaims } from './jwt.js';
import { principalOf, USER_COLUMNS, userFromRow, type UserRow } from '../../users/user.entity.js';

const MAX_CACHED_TOKENS = 10_000;

/** The parts of a token with a valid signature. They never change, so they can be cached. */
interface VerifiedJwt {
  readonly kid: string;
  readonly claims: AccessClaims;
}

interface Row extends UserRow {
  readonly familyEpoch: number;
  readonly revokedAt: Date | string | null;
  readonly expiresAt: Date | string;
  readonly keyRetiredAt: Date | string | null;
}

/**
 * Accepts access tokens. passport-jwt verifies the signature, the issuer, the audience and the times. On every request,
 * the strategy also checks the claims and, in one query, the token family, the account and the signing key.
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') implements AuthStrategy {
  readonly challenge = new Challenge('Bearer', { realm: 'auth-atlas' });
  readonly namesRequirement = true;
  /** By the SHA-256 of the token: the cache must not contain credentials. */
  private readonly verified = new LRUCache<string, VerifiedJwt>({ max: MAX_CACHED_TOKENS });
  private readonly expected: { readonly iss: string; readonly aud: string };
  private readonly findFamily: RowFinder<Row>;

  constructor(
    private readonly keys: JwtKeys,
    dataSource: DataSource,
    { publicUrl }: Settings,
  ) {
    super({
      jwtFromRequest: bearerToken,
      secretOrKeyProvider,
      algorithms: [keys.algorithm],
      issuer: publicUrl,
      audience: publicUrl,
      passReqToCallback: true,
    } as never);
    this.expected = { iss: publicUrl, aud: publicUrl };
    this.findFamily = rowFinder(
      dataSource,
      `SELECT ${USER_COLUMNS}, family.epoch AS "familyEpoch", family."revokedAt" AS "revokedAt",
         family."expiresAt" AS "expiresAt", "key"."retiredAt" AS "keyRetiredAt"
       FROM token_families family
       JOIN users account ON account.id = family."userId"
       ${keys.algorithm === 'ES256' ? 'JOIN' : 'LEFT JOIN'} signing_keys "key" ON "key".kid = ?
       WHERE family.id = ?`,
    );
  }

  /** Whether the request has a Bearer token that names this issuer. The token is not verified here. */
  claims(request: AuthRequest): boolean {
    return unverifiedIssuer(bearerToken(request)) === this.expected.iss;
  }

  /** Skips the signature of a cached token, and reports every fault that passport-jwt finds as `invalid_token`. */
  override authenticate(incoming: unknown): void {
    const request = incoming as AuthRequest;
    this.fail = (reason: unknown) => this.error(invalidToken(String(reason)));
    const cached = this.verified.get(cacheKey(bearerToken(request)));
    if (!cached) return super.authenticate(request as never);
    this.checkState(cached).then(
      (principal) => this.success(principal),
      (error: Error) => this.error(error),
    );
  }

  /** @param claims of a token whose signature, issuer, audience and times are valid */
  validate(request: AuthRequest, claims: AccessClaims): Promise<Principal> {
    const token = bearerToken(request);
    const { kid } = readAccessToken(token, this.keys.algorithm)!;
    const verified = { kid, claims };
    this.verified.set(cacheKey(token), verified);
    return this.checkState(verified);
  }

  /**
   * The key of a token, after a strict check of its form: passport-jwt accepts more forms than this server writes.
   * @throws BadCredential `invalid_token`
   */
  async findKey(token: string): Promise<KeyObject> {
    const read = readAccessToken(token, this.keys.algorithm);
    if (!read) throw invalidToken('not in the form that this server writes');
    const key = await this.keys.find(read.kid);
    if (!key) throw invalidToken('unknown kid');
    return key;
  }

  /** Checks everything that can change after the token was signed. */
  private async checkState({ kid, claims }: VerifiedJwt): Promise<Principal> {
    const now = Date.now();
    const fault = accessClaimsFault({ ...claims }, this.expected, Math.floor(now / 1000));
    if (fault) throw invalidToken(fault);

    const row = await this.findFamily(kid, claims.sid);
    if (!row) throw invalidToken('unknown family or signing key');
    const account = userFromRow(row);
    const invalid = (reason: string) =>
      invalidToken(`the family ${claims.sid}: ${reason}`).ofAccount(account);
    if (isRetired(row, now)) throw invalid('its signing key is retired');
    if (nullableDateFromRow(row.revokedAt)) throw invalid('it was revoked');
    if (dateFromRow(row.expiresAt).getTime() <= now) throw invalid('it has expired');
    if (row.familyEpoch !== account.epoch) throw invalid('all sign-ins of the account were ended');
    if (account.id !== claims.sub) throw invalid('it belongs to another account');

    const proof = {
      method: 'jwt',
      credentialId: claims.sid,
      at: new Date(claims.auth_time * 1000),
      amr: claims.amr,
      bound: false,
      signIn: true,
    } as const;
    return principalOf(account, proof, invalidToken, claims.scope?.split(' '));
  }
}

/** An empty text if the request has no Bearer token. */
const bearerToken = (request: AuthRequest): string => tokenFromHeader(request, 'Bearer') ?? '';

/**
 * The `secretOrKeyProvider` of passport-jwt, which calls it as a method of the strategy. An error goes to `error`
 * instead of `done`: passport-jwt reports every error in `done` as a wrong token, also a failure of the database.
 */
function secretOrKeyProvider(
  this: JwtStrategy,
  _request: AuthRequest,
  token: string,
  done: (error: null, key: KeyObject) => void,
): void {
  this.findKey(token)
    .then((key) => done(null, key))
    .catch((error: Error) => this.error(error));
}

function isRetired({ keyRetiredAt }: Row, now: number): boolean {
  const retiredAt = nullableDateFromRow(keyRetiredAt);
  return retiredAt !== null && retiredAt.getTime() + RETIRED_KEY_GRACE_MS <= now;
}

const cacheKey = (token: string) => hash('sha256', token, 'base64url');

const invalidToken = (reason: string) =>
  new BadCredential('invalid_token', reason, { error: 'invalid_token' });
