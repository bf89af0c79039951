import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { decodeProtectedHeader, importJWK, jwtVerify, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { unverifiedIssuer } from '../../authentication/bearer.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { User } from '../../users/user.entity.js';
import { authorizationServerConfig, type AssertionIssuer } from '../authorization-server.config.js';
import { errors, grantHelpers } from '../provider/oidc-provider.js';
import { checkClient, verifyProofOfPossession } from './extension-grant.js';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const JWT_BEARER_PARAMETERS = ['assertion', 'resource', 'scope'];

/** Asymmetric only. With a shared secret, this server could sign assertions of the issuer. */
const ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
const ACCESS_TOKEN_SECONDS = 300;
const MAX_ASSERTION_SECONDS = 300;
const CLOCK_SKEW_SECONDS = 5;

interface Parameters {
  readonly assertion?: string;
}

/**
 * The JWT bearer grant (RFC 7523 section 2.1). An issuer that is trusted by configuration asserts a person's identity, and the
 * client receives an access token for that person's account. No refresh token: the client must get a new assertion.
 */
@Injectable()
export class JwtBearerGrant {
  private readonly issuers: Map<string, AssertionIssuer>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly replays: ReplayStore,
    private readonly settings: Settings,
    @Inject(authorizationServerConfig.KEY) config: ConfigType<typeof authorizationServerConfig>,
  ) {
    this.issuers = new Map(config.assertionIssuers);
  }

  /** Trusts an issuer in addition to those of the settings, which come first. */
  trust(issuer: AssertionIssuer): void {
    if (!this.issuers.has(issuer.issuer)) this.issuers.set(issuer.issuer, issuer);
  }

  async handle(ctx: TokenEndpointGrantContext<Parameters>): Promise<void> {
    const { buildTokenResponse, resolveRequestedResources } = await grantHelpers();
    const { client, params, provider } = ctx.oidc;
    const tenantId = await checkClient(client, this.dataSource);
    if (!params.assertion) throw new errors.InvalidRequest('assertion is required');
    const proof = await verifyProofOfPossession(provider, ctx);

    const audiences = [provider.issuer, `${provider.issuer}/token`];
    const { issuer, claims } = await this.verify(params.assertion, audiences);
    const account = await this.dataSource.manager.findOneBy(User, { id: accountOf(issuer, claims) });
    if (!account || account.disabledAt || account.tenantId !== tenantId)
      throw new errors.InvalidGrant("no enabled account of the client's tenant for the subject");
    params.resource ??= this.settings.publicUrl;
    const [target, ...others] = await resolveRequestedResources(provider, ctx);
    if (!target || others.length) throw new errors.InvalidTarget('a token is for exactly one resource');
    const scope = limitScope(params.scope, issuer.scopes, target.scopes);

    const until = new Date((claims.exp! + CLOCK_SKEW_SECONDS) * 1000);
    if (!(await this.replays.use(`oauth assertion of ${issuer.issuer}`, claims.jti!, until)))
      throw new errors.InvalidGrant('the assertion was already used');
    const token = new provider.AccessToken({
      client,
      accountId: account.id,
      gty: 'jwt_bearer',
      expiresIn: ACCESS_TOKEN_SECONDS,
      scope,
    } as never);
    token.resourceServer = target;
    await proof.bind(token);
    ctx.oidc.entity('AccessToken', token);
    ctx.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope,
    });
  }

  /** @throws InvalidGrant, with the same response for all reasons (RFC 7521 section 4.1.1). The reason is logged. */
  private async verify(
    assertion: string,
    audiences: readonly string[],
  ): Promise<{ issuer: AssertionIssuer; claims: JWTPayload }> {
    const issuer = this.issuers.get(unverifiedIssuer(assertion) ?? '');
    if (!issuer) throw new errors.InvalidGrant('the issuer is not trusted');
    try {
      const { alg = '', kid } = decodeProtectedHeader(assertion);
      const jwk = issuer.keys.find((each) => each.kid === kid);
      if (!jwk || !ALGORITHMS.includes(alg)) throw new errors.InvalidGrant('unknown key or algorithm');
      const key = (await importJWK(jwk as JWK, alg)) as CryptoKey;
      const { payload, protectedHeader } = await jwtVerify(assertion, key, {
        issuer: issuer.issuer,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_SKEW_SECONDS,
        maxTokenAge: MAX_ASSERTION_SECONDS,
        requiredClaims: ['sub', 'exp', 'iat', 'jti', 'aud'],
      });
      const fault = assertionFault(payload, protectedHeader.typ, audiences);
      if (fault) throw new errors.InvalidGrant(fault);
      return { issuer, claims: payload };
    } catch (error) {
      if (error instanceof errors.InvalidGrant) throw error;
      throw new errors.InvalidGrant(error instanceof Error ? error.message : 'invalid assertion');
    }
  }
}

/** The checks that jose does not make. */
function assertionFault(
  { sub, jti, aud, exp = 0 }: JWTPayload,
  typ: string | undefined,
  audiences: readonly string[],
): string | undefined {
  if (typ !== undefined && typ.toUpperCase() !== 'JWT') return 'a JWT of another type';
  // Exactly one audience. Another server in the audience could present the assertion here.
  if (typeof aud !== 'string' || !audiences.includes(aud)) return 'wrong audience';
  if (exp > Date.now() / 1000 + MAX_ASSERTION_SECONDS + CLOCK_SKEW_SECONDS) return 'valid for too long';
  if (![sub, jti].every((text) => typeof text === 'string' && text && text.length <= 255))
    return 'missing or invalid sub or jti';
  return undefined;
}

/** @throws InvalidGrant for a subject without a configured account */
function accountOf({ accounts }: AssertionIssuer, { sub = '' }: JWTPayload): string {
  const id = Object.hasOwn(accounts, sub) ? accounts[sub] : undefined;
  if (!id) throw new errors.InvalidGrant('unknown subject');
  return id;
}

/**
 * The requested scope, or by default all scopes that both the issuer and the client may obtain.
 * @throws InvalidScope
 */
function limitScope(
  requested: string | undefined,
  issuerScopes: readonly string[],
  clientScopes: ReadonlySet<string>,
): string {
  const allowed = issuerScopes.filter((scope) => clientScopes.has(scope));
  const excess = requested?.split(' ').find((scope) => !allowed.includes(scope));
  if (excess !== undefined)
    throw new errors.InvalidScope('the scope exceeds that of the issuer or the client', excess);
  if (!allowed.length) throw new errors.InvalidScope('the issuer and the client have no scope in common', '');
  return requested ?? allowed.join(' ');
}
