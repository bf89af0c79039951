import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LRUCache } from 'lru-cache';
import { createHash, type KeyObject } from 'node:crypto';
import { Strategy } from 'passport-jwt';
import { DataSource } from 'typeorm';
import { BadCredential, Challenge } from '../../authentication/challenge.js';
import { unverifiedIssuer, tokenFromHeader } from '../../authentication/bearer.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { AuthStrategy } from '../../authentication/method.js';
import type { Principal } from '../../authentication/principal.js';
import { Settings } from '../../config/settings.js';
import { PUBLISH_BEFORE_USE_MS } from '../../crypto/signing-keys.service.js';
import { readAccessToken } from '../../crypto/jws.js';
import { dateFromRow, nullableDateFromRow } from '../../database/raw-dates.js';
import { USER_COLUMNS, userFromRow, type UserRow } from '../../users/user-row.js';
import { principalOf } from '../../users/principal-of.js';
import { JwtKeys } from './jwt.keys.js';
import { faultOf, type AccessClaims } from './jwt.js';

const CODE = 'invalid_token';
const REMEMBERED = 10_000;

/** A token whose signature and form are good: what never changes of it. */
interface Verified {
  readonly kid: string;
  readonly claims: AccessClaims;
}

interface Row extends UserRow {
  readonly familyEpoch: number;
  readonly scopes: string | null;
  readonly revokedAt: Date | string | null;
  readonly expiresAt: Date | string;
  readonly retiredAt: Date | string | null;
}

/**
 * A signature is verified once and remembered until the token runs out, for it cannot change. What can change, the
 * family, the account and the key, is read on every request, in one query.
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') implements AuthStrategy {
  readonly challenge = new Challenge('Bearer', { realm: 'auth-atlas' });
  private readonly remembered = new LRUCache<string, Verified>({ max: REMEMBERED });
  private readonly expected: { readonly iss: string; readonly aud: string };
  private readonly sql: string;

  constructor(
    private readonly keys: JwtKeys,
    private readonly dataSource: DataSource,
    { publicUrl }: Settings,
  ) {
    const found = new WeakMap<AuthRequest, KeyObject>();
    super({
      jwtFromRequest: (request: unknown) => tokenFromHeader(request as AuthRequest, 'Bearer') ?? null,
      secretOrKeyProvider: (request: unknown, _token: unknown, done: KeyTaker) =>
        done(null, found.get(request as AuthRequest)),
      algorithms: [keys.algorithm],
      issuer: publicUrl,
      audience: publicUrl,
      passReqToCallback: true,
    } as never);
    this.found = found;
    this.expected = { iss: publicUrl, aud: publicUrl };
    [this.sql] = dataSource.driver.escapeQueryWithParameters(
      `SELECT ${USER_COLUMNS}, family.epoch AS "familyEpoch", family.scopes AS scopes,
         family."revokedAt" AS "revokedAt",
         family."expiresAt" AS "expiresAt", "key"."retiredAt" AS "retiredAt"
       FROM token_families family
       JOIN users account ON account.id = family."userId"
       ${keys.algorithm === 'ES256' ? 'JOIN' : 'LEFT JOIN'} signing_keys "key" ON "key".kid = :kid
       WHERE family.id = :sid`,
      { kid: '', sid: '' },
    );
  }

  private readonly found: WeakMap<AuthRequest, KeyObject>;

  /** A Bearer token that names this issuer; nothing is believed of it yet. */
  claims(request: AuthRequest): boolean {
    return unverifiedIssuer(tokenFromHeader(request, 'Bearer') ?? '') === this.expected.iss;
  }

  override authenticate(incoming: unknown): void {
    const request = incoming as AuthRequest;
    // passport-jwt says why it fails; to the caller every wrong token is the same.
    this.fail = (reason: unknown) => this.error(refused(String(reason)));
    const token = tokenFromHeader(request, 'Bearer') ?? '';
    const known = this.remembered.get(digestOf(token));
    if (known) {
      this.prove(known).then(
        (principal) => this.success(principal),
        (error: Error) => this.error(error),
      );
      return;
    }
    this.verify(request, token).catch((error: Error) => this.error(error));
  }

  /** @param claims of a token whose signature, issuer, audience and time passport-jwt has found good */
  validate(request: AuthRequest, claims: AccessClaims): Promise<Principal> {
    const token = tokenFromHeader(request, 'Bearer')!;
    const { kid } = readAccessToken(token, this.keys.algorithm)!;
    const verified = { kid, claims };
    this.remembered.set(digestOf(token), verified);
    return this.prove(verified);
  }

  /** The strict form first, then the key, and passport-jwt only then. */
  private async verify(request: AuthRequest, token: string): Promise<void> {
    const read = readAccessToken(token, this.keys.algorithm);
    if (!read) throw refused('not a token of the form that this server writes');
    const key = await this.keys.find(read.kid);
    if (!key) throw refused('unknown kid');
    this.found.set(request, key);
    super.authenticate(request as never);
  }

  private async prove({ kid, claims }: Verified): Promise<Principal> {
    const now = Date.now();
    const fault = faultOf({ ...claims }, this.expected, Math.floor(now / 1000));
    if (fault) throw refused(fault);
    const [row] = await this.dataSource.query<Row[]>(this.sql, [kid, claims.sid]);
    if (!row) throw refused('its family or its key is gone');
    const account = userFromRow(row);
    const over = overBecause(row, now);
    if (over) throw refused(`${over}: the family ${claims.sid}`).ofAccount(account);
    if (account.id !== claims.sub) throw refused('the family is of another account').ofAccount(account);
    const proof = {
      method: 'jwt',
      credentialId: claims.sid,
      at: new Date(claims.auth_time * 1000),
      amr: claims.amr,
      bound: false,
    } as const;
    return principalOf(account, proof, refused, claims.scope?.split(' '));
  }
}

function overBecause(row: Row, now: number): string | undefined {
  const retiredAt = nullableDateFromRow(row.retiredAt);
  if (retiredAt && retiredAt.getTime() + PUBLISH_BEFORE_USE_MS <= now) return 'its key is retired';
  if (row.revokedAt) return 'revoked';
  if (dateFromRow(row.expiresAt).getTime() <= now) return 'expired';
  return row.familyEpoch === row.user_epoch ? undefined : 'all sign-ins of the account were ended';
}

type KeyTaker = (error: unknown, key?: KeyObject) => void;

/** Not the text itself: what is remembered must not be a credential. */
const digestOf = (token: string) => createHash('sha256').update(token).digest('base64url');

const refused = (reason: string) => new BadCredential(CODE, reason, { error: CODE });
