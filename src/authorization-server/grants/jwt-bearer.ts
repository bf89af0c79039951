import { Injectable } from '@nestjs/common';
import { decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose';
import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { buildTokenResponse, resolveRequestedResources } from 'oidc-provider/lib/helpers/grants.js';
import { DataSource } from 'typeorm';
import { unverifiedIssuer } from '../../authentication/bearer.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { User } from '../../users/user.entity.js';
import { refuseUnfit } from './acting-client.js';
import { assertionIssuers, publicKeyOf, type AssertionIssuer } from './assertion.config.js';
import { provedKeyOf } from './proved-key.js';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const BEARER_PARAMETERS = ['assertion', 'resource', 'scope'];

/** Asymmetric ones alone: a secret that is shared with an issuer is one that we could sign with too. */
const ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
/** Seconds. */
const LIFETIME = 300;
const SKEW = 5;

export interface BearerParameters {
  readonly assertion?: string;
}
type Context = TokenEndpointGrantContext<BearerParameters>;

/**
 * The JWT bearer grant (RFC 7523, section 2.1): an issuer that is trusted by configuration vouches for a person, and the
 * client gets an access token for that person's account. No refresh token: the issuer is to be asked again.
 */
@Injectable()
export class JwtBearer {
  private readonly issuers: ReadonlyMap<string, AssertionIssuer>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly oneTime: ReplayStore,
    private readonly settings: Settings,
  ) {
    this.issuers = assertionIssuers(settings);
  }

  async answer(ctx: Context): Promise<void> {
    const { client, params, provider } = ctx.oidc;
    await refuseUnfit(client, this.dataSource);
    if (!params.assertion) throw new errors.InvalidRequest('assertion is required');
    const proved = await provedKeyOf(provider, ctx);

    const { issuer, claims } = await this.verified(params.assertion, [
      provider.issuer,
      `${provider.issuer}/token`,
    ]);
    const account = await this.dataSource.manager.findOneBy(User, { id: accountOf(issuer, claims) });
    if (!account || account.disabledAt) throw new errors.InvalidGrant('no account that may be used');
    params.resource ??= this.settings.publicUrl;
    const [target, ...others] = await resolveRequestedResources(provider, ctx);
    if (!target || others.length) throw new errors.InvalidTarget('a token is for one resource');
    const scope = ceiling(params.scope, issuer.scopes, target.scopes);

    const until = new Date((claims.exp! + SKEW) * 1000);
    if (!(await this.oneTime.use(`oauth assertion of ${issuer.issuer}`, claims.jti!, until)))
      throw new errors.InvalidGrant('the assertion was used before');
    const token = new provider.AccessToken({
      client,
      accountId: account.id,
      gty: 'jwt_bearer',
      expiresIn: LIFETIME,
      scope,
    } as never);
    token.resourceServer = target;
    await proved.bind(token);
    ctx.oidc.entity('AccessToken', token);
    ctx.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope,
    });
  }

  /** @throws InvalidGrant, one for all reasons (RFC 7521, section 4.1.1); the reason is for the log */
  private async verified(
    assertion: string,
    audiences: readonly string[],
  ): Promise<{ issuer: AssertionIssuer; claims: JWTPayload }> {
    const issuer = this.issuers.get(unverifiedIssuer(assertion) ?? '');
    if (!issuer) throw new errors.InvalidGrant('an issuer that is not trusted');
    try {
      const { alg = '', kid } = decodeProtectedHeader(assertion);
      const key = issuer.keys.find((each) => each.kid === kid);
      if (!key || !ALGORITHMS.includes(alg)) throw new errors.InvalidGrant('an unknown key or algorithm');
      const { payload, protectedHeader } = await jwtVerify(assertion, await publicKeyOf(key, alg), {
        issuer: issuer.issuer,
        algorithms: ALGORITHMS,
        clockTolerance: SKEW,
        maxTokenAge: LIFETIME,
        requiredClaims: ['sub', 'exp', 'iat', 'jti', 'aud'],
      });
      const fault = faultOf(payload, protectedHeader.typ, audiences);
      if (fault) throw new errors.InvalidGrant(fault);
      return { issuer, claims: payload };
    } catch (error) {
      if (error instanceof errors.InvalidGrant) throw error;
      throw new errors.InvalidGrant(error instanceof Error ? error.message : 'unreadable');
    }
  }
}

/** What jose does not look at. */
function faultOf(
  { sub, jti, aud, exp = 0 }: JWTPayload,
  typ: string | undefined,
  audiences: readonly string[],
): string | undefined {
  if (typ !== undefined && typ.toUpperCase() !== 'JWT') return 'a JWT for something else';
  // One audience and ours: what is good elsewhere too could be brought here from there.
  if (typeof aud !== 'string' || !audiences.includes(aud)) return 'another audience';
  if (exp > Date.now() / 1000 + LIFETIME + SKEW) return 'good for too long';
  if (![sub, jti].every((text) => typeof text === 'string' && text && text.length <= 255))
    return 'no sub or jti';
  return undefined;
}

/** @throws InvalidGrant for a subject whom no account belongs to */
function accountOf({ accounts }: AssertionIssuer, { sub = '' }: JWTPayload): string {
  const id = Object.hasOwn(accounts, sub) ? accounts[sub] : undefined;
  if (!id) throw new errors.InvalidGrant('a subject that nobody here is');
  return id;
}

/** What was asked for, or all that the issuer and the client may both have. */
function ceiling(
  asked: string | undefined,
  ofIssuer: readonly string[],
  ofClient: ReadonlySet<string>,
): string {
  const allowed = ofIssuer.filter((scope) => ofClient.has(scope));
  const wider = asked?.split(' ').find((scope) => !allowed.includes(scope));
  if (wider !== undefined) throw new errors.InvalidScope('the issuer or the client has less', wider);
  if (!allowed.length) throw new errors.InvalidScope('nothing is left of what may be asked for', '');
  return asked ?? allowed.join(' ');
}
