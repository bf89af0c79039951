import { ConflictException, Inject, Injectable, NotFoundException } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { DataSource, IsNull, LessThan, MoreThan, type EntityManager } from 'typeorm';
import { signInEnded, type Authentication, type Issuer } from '../../authentication/method.js';
import { AuditPort, type AuditEntry } from '../../authentication/ports.js';
import { type Principal, type Proof, assertMayManageCredentials } from '../../authentication/principal.js';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { jwtConfig } from './jwt.config.js';
import {
  RefreshToken,
  TokenFamily,
  familyEvent,
  familyFault,
  invalidGrant,
  isCurrentFamily,
  narrowScopes,
  newFamily,
  proofOf,
} from './jwt.entity.js';
import { JwtKeys } from './jwt.keys.js';
import {
  ACCESS_TOKEN_LIFETIME_SECONDS,
  hashSecret,
  newRefreshToken,
  newAccessClaims,
  parseRefreshToken,
  type AccessTokenResponse,
  type TokenResponse,
} from './jwt.js';
import { principalOf } from '../../users/user.entity.js';

const DAY_MS = 24 * 60 * 60_000;
/** A family ends after this time without a refresh. */
const IDLE_TIMEOUT_MS = 7 * DAY_MS;
const ENDED_FAMILY_RETENTION_MS = DAY_MS;
/** Compared for an unknown id, so that it takes the same time as a wrong secret. */
const UNKNOWN_HASH = '0'.repeat(64);

/** Issues and refreshes tokens; lists and revokes token families. A family is one sign-in with all its tokens. */
@Injectable()
export class JwtService extends HourlyCleanup implements Issuer {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
    private readonly keys: JwtKeys,
    private readonly settings: Settings,
    private readonly box: SecretBox,
    @Inject(jwtConfig.KEY) private readonly config: ConfigType<typeof jwtConfig>,
  ) {
    super();
  }

  /** Starts a token family for a finished sign-in. */
  async issue(principal: Principal, request: AuthRequest, epoch: number): Promise<TokenResponse> {
    const family = newFamily(principal, request, epoch);
    return this.dataSource.transaction(async (manager) => {
      await manager.insert(TokenFamily, family);
      const refreshToken = await this.createRefreshToken(manager, family);
      const tokens = await this.createTokens(manager, family, family.scopes, refreshToken);
      await this.audit.append(
        manager,
        { event: 'authn_login_success', actor: principal, details: { as: 'jwt' } },
        familyEvent(family, 'authn_token_created', principal),
      );
      return tokens;
    });
  }

  /**
   * Stores a fresh authentication in the family, and issues an access token that states it. Earlier access tokens gain nothing.
   * @throws ConflictException `sign_in_ended` if the family was revoked meanwhile
   */
  async stepUp(principal: Principal, { at, amr }: Authentication): Promise<AccessTokenResponse> {
    const id = principal.proofs.find(({ method }) => method === 'jwt')?.credentialId ?? '';
    return this.dataSource.transaction(async (manager) => {
      const changes = { authAt: at, amr: [...amr] };
      const { affected } = await manager.update(TokenFamily, { id, revokedAt: IsNull() }, changes);
      if (!affected) throw signInEnded();
      const family = await manager.findOneByOrFail(TokenFamily, { id });
      const token = await this.createAccessToken(manager, family, principal.scopes ?? null);
      await this.audit.append(manager, familyEvent(family, 'authn_token_created', principal));
      return token;
    });
  }

  /** Logs out: ends the family of the token that authenticated this request. */
  async end({ credentialId }: Proof): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const family = await manager.findOneBy(TokenFamily, { id: credentialId! });
      if (family) await this.revoke(manager, family, 'authn_token_revoked');
    });
  }

  /**
   * The caller's active token families.
   * @throws ForbiddenException `limited_credential`
   */
  async list(caller: Principal): Promise<TokenFamily[]> {
    assertMayManageCredentials(caller);
    return this.dataSource.manager.findBy(TokenFamily, {
      userId: caller.id,
      revokedAt: IsNull(),
      expiresAt: MoreThan(new Date()),
    });
  }

  /**
   * Ends one of the caller's families.
   * @throws NotFoundException if the caller has no active family with this id
   * @throws ForbiddenException `limited_credential`
   */
  async revokeOwn(caller: Principal, id: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const family = await manager.findOneBy(TokenFamily, { id, userId: caller.id, revokedAt: IsNull() });
      if (!family) throw new NotFoundException({ code: 'not_found', detail: 'You have no such sign-in.' });
      if (!isCurrentFamily(caller, id)) assertMayManageCredentials(caller);
      await this.revoke(manager, family, 'authn_token_revoked', caller);
    });
  }

  /**
   * Exchanges a refresh token for new tokens. Each works once. A second use means that the token was copied, so the whole
   * family ends (RFC 9700 section 4.14.2). Two exceptions: within `JWT_REFRESH_REUSE_SECONDS`, the last used token returns the
   * same successor; and a request that arrived before the first use gets no tokens, and the family stays.
   *
   * @param scope limits the new access token; the family keeps its scopes
   * @param arrived the time at which the request arrived
   * @throws BadCredential `invalid_grant`
   * @throws ConflictException `concurrent_refresh`
   * @throws BadRequestException `invalid_scope` for more than was granted (RFC 6749 section 6)
   */
  async refresh(text: string, scope: string | undefined, arrived: Date): Promise<TokenResponse> {
    const parsed = parseRefreshToken(text);
    if (!parsed) throw invalidGrant('not a refresh token');
    const outcome = await this.dataSource.transaction(async (manager) => {
      const token = await manager.findOne(RefreshToken, {
        where: { id: parsed.id },
        relations: { family: { user: true } },
      });
      const matches = constantTimeEqual(hashSecret(parsed.secret), token?.hash ?? UNKNOWN_HASH);
      if (!matches || !token?.family?.user) throw invalidGrant('unknown refresh token');
      const { family } = token;
      const now = new Date();
      const fault = familyFault(family, token.expiresAt, now);
      if (fault) throw invalidGrant(`${fault}: the family ${family.id}`).ofAccount(family.user!);
      const caller = principalOf(family.user!, proofOf(family), invalidGrant, family.scopes);
      const scopes = narrowScopes(family.scopes, scope);

      const { affected } = await manager.update(
        RefreshToken,
        { id: token.id, usedAt: IsNull() },
        { usedAt: now },
      );
      const used = affected ? undefined : await manager.findOneByOrFail(RefreshToken, { id: token.id });
      const successor = used
        ? await this.repeatableSuccessor(manager, used, now)
        : await this.createRefreshToken(manager, family, token.id);
      if (successor) {
        const tokens = await this.createTokens(manager, family, scopes, successor);
        await this.audit.append(manager, familyEvent(family, 'authn_token_created', caller));
        return { tokens };
      }
      if (used!.usedAt! >= arrived) return 'concurrent';
      await this.revoke(manager, family, 'authn_token_reuse', caller);
      return { reusedFamily: family };
    });
    if (outcome === 'concurrent')
      throw new ConflictException({
        code: 'concurrent_refresh',
        detail: 'Another request has just used this refresh token. Use the tokens of its response.',
      });
    if (outcome.tokens) return outcome.tokens;
    // Thrown after the transaction, which would otherwise roll the revocation back.
    const { id, user } = outcome.reusedFamily;
    throw invalidGrant(`reused, so the family ${id} was ended`).ofAccount(user!);
  }

  /** Deletes families that ended more than a day ago, with their refresh tokens. */
  async cleanUp(): Promise<void> {
    const old = LessThan(new Date(Date.now() - ENDED_FAMILY_RETENTION_MS));
    await this.dataSource.manager.delete(TokenFamily, [{ expiresAt: old }, { revokedAt: old }]);
  }

  private async revoke(
    manager: EntityManager,
    family: TokenFamily,
    event: AuditEntry['event'],
    actor?: Principal,
  ): Promise<void> {
    const where = { id: family.id, revokedAt: IsNull() };
    const { affected } = await manager.update(TokenFamily, where, { revokedAt: new Date() });
    if (affected) await this.audit.append(manager, familyEvent(family, event, actor));
  }

  private async createTokens(
    manager: EntityManager,
    family: TokenFamily,
    scopes: readonly string[] | null,
    refresh_token: string,
  ): Promise<TokenResponse> {
    return { ...(await this.createAccessToken(manager, family, scopes)), refresh_token };
  }

  private async createAccessToken(
    manager: EntityManager,
    family: TokenFamily,
    scopes: readonly string[] | null,
  ): Promise<AccessTokenResponse> {
    const claims = newAccessClaims(this.settings.publicUrl, family, scopes);
    return {
      access_token: await this.keys.sign(manager, claims),
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_LIFETIME_SECONDS,
      ...(scopes && { scope: scopes.join(' ') }),
    };
  }

  /** @param predecessorId of the used refresh token; undefined at the sign-in */
  private async createRefreshToken(
    manager: EntityManager,
    family: TokenFamily,
    predecessorId?: string,
  ): Promise<string> {
    const { id, token, hash } = newRefreshToken();
    const expiresAt = new Date(Math.min(Date.now() + IDLE_TIMEOUT_MS, family.expiresAt.getTime()));
    await manager.insert(RefreshToken, { id, familyId: family.id, hash, expiresAt, usedAt: null });
    if (predecessorId && this.config.refreshReuseSeconds) {
      const sealedSuccessor = this.box.seal(token, predecessorId);
      await manager.update(RefreshToken, { id: predecessorId }, { sealedSuccessor });
    }
    return token;
  }

  /** @returns undefined if the token was used too long ago, or its successor was used */
  private async repeatableSuccessor(
    manager: EntityManager,
    { id, usedAt, sealedSuccessor }: RefreshToken,
    now: Date,
  ): Promise<string | undefined> {
    const end = usedAt!.getTime() + this.config.refreshReuseSeconds * 1000;
    if (!this.config.refreshReuseSeconds || !sealedSuccessor || end <= now.getTime()) return undefined;
    const successor = this.box.open(sealedSuccessor, id);
    const isUnused = { id: parseRefreshToken(successor)!.id, usedAt: IsNull() };
    return (await manager.existsBy(RefreshToken, isUnused)) ? successor : undefined;
  }
}
