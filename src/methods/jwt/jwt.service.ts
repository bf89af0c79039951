import { BadRequestException, ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import { DataSource, IsNull, type EntityManager } from 'typeorm';
import { BadCredential } from '../../authentication/challenge.js';
import { assertMayManageCredentials } from '../../authentication/manage-credentials.js';
import type { Principal, Proof } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Issuer } from '../../authentication/method.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { principalOf } from '../../users/principal-of.js';
import { RefreshToken, TokenFamily } from './jwt.entity.js';
import { JwtKeys } from './jwt.keys.js';
import {
  ACCESS_LIFETIME,
  hashSecret,
  mintRefreshToken,
  parseRefreshToken,
  sameHash,
  type AccessClaims,
} from './jwt.js';

const DAY = 24 * 60 * 60_000;
/** How long a family goes on without being refreshed, and how long at the most. */
const IDLE = 7 * DAY;
const ABSOLUTE = 30 * DAY;

/** A token answer (RFC 6749, section 5.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope?: string;
}

@Injectable()
export class JwtIssuer implements Issuer {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly jwt: JwtService,
    private readonly keys: JwtKeys,
    private readonly settings: Settings,
  ) {}

  async issue(principal: Principal, request: AuthRequest, epoch: number): Promise<TokenResponse> {
    const now = new Date();
    const family: TokenFamily = {
      id: randomUUID(),
      userId: principal.id,
      epoch,
      scopes: principal.scopes ? [...principal.scopes] : null,
      amr: [...new Set(principal.proofs.flatMap((proof) => proof.amr))],
      authAt: new Date(Math.max(...principal.proofs.map((proof) => proof.at.getTime()))),
      userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
      createdAt: now,
      expiresAt: new Date(now.getTime() + ABSOLUTE),
      revokedAt: null,
    };
    return this.dataSource.transaction(async (manager) => {
      await manager.insert(TokenFamily, family);
      const tokens = await this.tokens(manager, family, family.scopes);
      await this.audit.append(
        manager,
        { event: 'authn_login_success', actor: principal, details: { as: 'jwt' } },
        about(family, 'authn_token_created', principal),
      );
      return tokens;
    });
  }

  async end({ credentialId }: Proof): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const family = await manager.findOneBy(TokenFamily, { id: credentialId! });
      if (family) await this.revoke(manager, family, 'authn_token_revoked');
    });
  }

  /**
   * Ends one of the caller's families.
   * @throws NotFoundException where the caller has none of that id
   * @throws ForbiddenException `limited_credential`
   */
  async endOwn(caller: Principal, id: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const family = await manager.findOneBy(TokenFamily, { id, userId: caller.id, revokedAt: IsNull() });
      if (!family) throw new NotFoundException({ code: 'not_found', detail: 'You have no such sign-in.' });
      if (!caller.proofs.some(({ method, credentialId }) => method === 'jwt' && credentialId === id))
        assertMayManageCredentials(caller, family);
      await this.revoke(manager, family, 'authn_token_revoked', caller);
    });
  }

  /**
   * New tokens for a refresh token, which is used up by it. One that comes a second time was copied: by whom cannot
   * be known, so its whole family ends (RFC 9700, section 4.14.2). A request that was already here when the token was
   * used is its owner's own second try at the same moment: it gets nothing, and ends nothing.
   *
   * @param scope what the new access token is to be limited to; the grant stays as it was
   * @param arrived when the request came in
   * @throws BadCredential `invalid_grant`
   * @throws ConflictException `concurrent_refresh` for the requests that lost the race
   * @throws BadRequestException `invalid_scope` for more than was granted (RFC 6749, section 6)
   */
  async refresh(text: string, scope: string | undefined, arrived: Date): Promise<TokenResponse> {
    const parsed = parseRefreshToken(text);
    if (!parsed) throw refused('not a refresh token');
    const outcome = await this.dataSource.transaction(async (manager) => {
      const token = await manager.findOne(RefreshToken, {
        where: { id: parsed.id },
        relations: { family: { user: true } },
      });
      if (!sameHash(hashSecret(parsed.secret), token?.hash)) throw refused('unknown refresh token');
      const { family, expiresAt } = token!;
      const now = new Date();
      const fault = faultOf(family!, expiresAt, now);
      if (fault) throw refused(`${fault}: the family ${family!.id}`).ofAccount(family!.user!);
      const caller = principalOf(family!.user!, proofOf(family!), refused, family!.scopes);
      const scopes = narrowed(family!.scopes, scope);

      const used = await manager.update(RefreshToken, { id: token!.id, usedAt: IsNull() }, { usedAt: now });
      if (used.affected) {
        const tokens = await this.tokens(manager, family!, scopes);
        await this.audit.append(manager, about(family!, 'authn_token_created', caller));
        return { tokens };
      }
      const { usedAt } = await manager.findOneByOrFail(RefreshToken, { id: token!.id });
      if (usedAt! >= arrived) return { raced: true };
      await this.revoke(manager, family!, 'authn_token_reuse', caller);
      return { reused: family! };
    });
    if (outcome.tokens) return outcome.tokens;
    if (outcome.reused)
      throw refused(`used before: its family ${outcome.reused.id} is ended`).ofAccount(outcome.reused.user!);
    throw new ConflictException({
      code: 'concurrent_refresh',
      detail: 'Another request has just used this token. Go on with what that one was given.',
    });
  }

  private async revoke(
    manager: EntityManager,
    family: TokenFamily,
    event: AuditEntry['event'],
    actor?: Principal,
  ): Promise<boolean> {
    const { affected } = await manager.update(
      TokenFamily,
      { id: family.id, revokedAt: IsNull() },
      { revokedAt: new Date() },
    );
    if (affected) await this.audit.append(manager, about(family, event, actor));
    return Boolean(affected);
  }

  private async tokens(
    manager: EntityManager,
    family: TokenFamily,
    scopes: readonly string[] | null,
  ): Promise<TokenResponse> {
    const { id, token, hash } = mintRefreshToken();
    const expiresAt = new Date(Math.min(Date.now() + IDLE, family.expiresAt.getTime()));
    await manager.insert(RefreshToken, { id, familyId: family.id, hash, expiresAt, usedAt: null });
    const { kid, key } = await this.keys.active(manager);
    const iat = Math.floor(Date.now() / 1000);
    const claims: AccessClaims = {
      iss: this.settings.publicUrl,
      aud: this.settings.publicUrl,
      client_id: 'auth-atlas',
      sub: family.userId,
      sid: family.id,
      jti: randomUUID(),
      iat,
      exp: iat + ACCESS_LIFETIME,
      auth_time: Math.floor(family.authAt.getTime() / 1000),
      amr: family.amr,
      ...(scopes && { scope: scopes.join(' ') }),
    };
    const access_token = this.jwt.sign(claims, {
      algorithm: this.keys.algorithm,
      header: { alg: this.keys.algorithm, typ: 'at+jwt', kid },
      privateKey: key,
    });
    return {
      access_token,
      token_type: 'Bearer',
      expires_in: ACCESS_LIFETIME,
      refresh_token: token,
      ...(scopes && { scope: scopes.join(' ') }),
    };
  }
}

const refused = (reason: string) => new BadCredential('invalid_grant', reason, { error: 'invalid_token' });

const proofOf = ({ id, authAt, amr }: TokenFamily): Proof => ({
  method: 'jwt',
  credentialId: id,
  at: authAt,
  amr,
  bound: false,
});

function faultOf(family: TokenFamily, tokenExpiresAt: Date, now: Date): string | undefined {
  if (family.revokedAt) return 'revoked';
  if (family.expiresAt <= now || tokenExpiresAt <= now) return 'expired';
  return family.epoch === family.user!.epoch ? undefined : 'all sign-ins were ended';
}

/** From what was granted at the sign-in, whatever an earlier refresh asked for. */
function narrowed(granted: readonly string[] | null, scope: string | undefined): readonly string[] | null {
  if (scope === undefined) return granted;
  const wanted = [...new Set(scope.split(' '))];
  if (granted && !wanted.every((each) => granted.includes(each)))
    throw new BadRequestException({
      code: 'invalid_scope',
      detail: 'That is more than was granted at the sign-in.',
    });
  return wanted;
}

const about = (
  family: TokenFamily,
  event: AuditEntry['event'],
  actor: Principal | undefined,
): AuditEntry => ({
  event,
  actor,
  method: 'jwt',
  target: `token-family:${family.id}`,
  details: { userId: family.userId },
});
