import { Injectable } from '@nestjs/common';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { AccessToken } from '../../access-tokens/access-token.entity.js';
import { AccessTokensService } from '../../access-tokens/access-tokens.service.js';
import type { VerifiedToken } from '../../access-tokens/verified-token.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { Actor } from '../../authentication/principal.js';
import { errors, grantHelpers } from '../provider/oidc-provider.js';
import { authRequestOfKoa, setTokenExchange } from '../provider/provider-request.js';
import { checkClient, verifyProofOfPossession } from './extension-grant.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const TOKEN_EXCHANGE_PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
];
const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

const ACCESS_TOKEN_SECONDS = 300;
/** The maximum length of the `act` chain. A longer chain suggests that services call each other in a loop. */
const MAX_ACTORS = 4;

interface Parameters {
  readonly subject_token?: string;
  readonly subject_token_type?: string;
  readonly actor_token?: string;
  readonly actor_token_type?: string;
  readonly requested_token_type?: string;
  readonly audience?: string | string[];
}
type Context = TokenEndpointGrantContext<Parameters>;

interface PresentedToken {
  readonly token: VerifiedToken;
  readonly row: AccessToken;
}

/**
 * Token exchange (RFC 8693): a service exchanges the access token that it received for one to call the next service. The new
 * token is for the same account and names the service in `act`. It has at most the scopes and lifetime of the subject token.
 * Its row references the subject token's row and is deleted with it.
 */
@Injectable()
export class TokenExchangeGrant {
  constructor(
    private readonly tokens: AccessTokensService,
    private readonly dataSource: DataSource,
  ) {}

  async handle(ctx: Context): Promise<void> {
    const { buildTokenResponse, resolveRequestedResources } = await grantHelpers();
    const { client, params, provider } = ctx.oidc;
    const tenantId = await checkClient(client, this.dataSource);
    checkParameters(params);
    const proof = await verifyProofOfPossession(provider, ctx);

    const subject = await this.verify(ctx, 'subject_token', proof.jkt);
    if (!mayExchange(client, subject.row.clientId))
      throw invalidToken('subject_token', 'issued to another client');
    if (subject.token.account.tenantId !== tenantId)
      throw invalidToken('subject_token', 'issued for an account of another tenant');
    const act = { sub: await this.actor(ctx), ...(subject.token.act && { act: subject.token.act }) };
    if (countActors(act) > MAX_ACTORS) throw invalidToken('subject_token', 'too many actors');

    const remaining = Math.floor((subject.row.expiresAt.getTime() - Date.now()) / 1000);
    if (remaining < 1) throw invalidToken('subject_token', 'about to expire');
    params.resource = requestedTarget(params) ?? subject.row.content.aud!;
    const [target] = await resolveRequestedResources(provider, ctx);
    const token = new provider.AccessToken({
      client,
      accountId: subject.row.accountId,
      gty: 'token_exchange',
      expiresIn: Math.min(ACCESS_TOKEN_SECONDS, remaining),
      scope: limitScope(params.scope, subject.token.scopes, target!.scopes),
      ...(subject.row.content.rar && { rar: subject.row.content.rar }),
    } as never);
    token.resourceServer = target!;
    const isBound = await proof.bind(token);
    const { 'x5t#S256': x5t } = subject.row.content;
    if (!isBound && x5t) token['x5t#S256'] = x5t;

    ctx.oidc.entity('AccessToken', token);
    setTokenExchange(ctx, { subject: subject.row, act });
    ctx.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      issuedTokenType: ACCESS_TOKEN_TYPE,
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope: token.scope,
      authorizationDetails: token.rar,
    });
  }

  /** The actor's `sub`: the client, or the account of an actor token that was issued to this client. */
  private async actor(ctx: Context): Promise<string> {
    const { client, params } = ctx.oidc;
    if (params.actor_token === undefined) return client.clientId;
    const { row, token } = await this.verify(ctx, 'actor_token');
    if (row.clientId !== client.clientId) throw invalidToken('actor_token', 'issued to another client');
    return token.account.kind === 'client' ? client.clientId : row.accountId;
  }

  /**
   * Verifies a presented token as the API does. A sender-constrained token requires its key here as well. A service
   * that only received the token has no such key and cannot exchange it.
   * @param jkt the thumbprint of the DPoP key in this request
   * @throws InvalidRequest
   */
  private async verify(
    ctx: Context,
    name: 'subject_token' | 'actor_token',
    jkt?: string,
  ): Promise<PresentedToken> {
    const text = ctx.oidc.params[name]!;
    const request = authRequestOfKoa(ctx);
    try {
      const verified = this.tokens.verify(text, request);
      const token = await (jkt ? verified.catch(() => this.tokens.verify(text, request, jkt)) : verified);
      const row = await this.dataSource.manager.findOneBy(AccessToken, { id: token.credentialId });
      if (!row || token.account.disabledAt)
        throw invalidToken(name, 'revoked, expired, or issued by another server');
      return { token, row };
    } catch (error) {
      if (error instanceof BadCredential) throw invalidToken(name, error.message);
      throw error;
    }
  }
}

/** RFC 8693 section 2.2.2 requires `invalid_request` for an invalid token. The reason is logged. */
const invalidToken = (name: string, reason: string) =>
  new errors.InvalidRequest(`${name} is not acceptable`, 400, reason);

function checkParameters(params: Context['oidc']['params']): void {
  const { subject_token, subject_token_type, actor_token, actor_token_type, requested_token_type } = params;
  if (!subject_token) throw new errors.InvalidRequest('subject_token is required');
  if (subject_token_type !== ACCESS_TOKEN_TYPE)
    throw new errors.InvalidRequest(`subject_token_type must be ${ACCESS_TOKEN_TYPE}`);
  if ((actor_token === undefined) !== (actor_token_type === undefined))
    throw new errors.InvalidRequest('actor_token and actor_token_type must be sent together');
  if (actor_token_type !== undefined && actor_token_type !== ACCESS_TOKEN_TYPE)
    throw new errors.InvalidRequest(`actor_token_type must be ${ACCESS_TOKEN_TYPE}`);
  if (requested_token_type !== undefined && requested_token_type !== ACCESS_TOKEN_TYPE)
    throw new errors.InvalidRequest(`requested_token_type must be ${ACCESS_TOKEN_TYPE}`);
}

/** A client may exchange its own tokens and those of the clients in its metadata `exchanges`. */
function mayExchange(client: Context['oidc']['client'], clientId: string): boolean {
  const { exchanges } = client;
  return (
    clientId === client.clientId || (typeof exchanges === 'string' && exchanges.split(' ').includes(clientId))
  );
}

/**
 * The one target, named by URL (`resource`) or by name (`audience`).
 * @throws InvalidTarget for several targets
 */
function requestedTarget({ resource = [], audience = [] }: Context['oidc']['params']): string | undefined {
  const targets = new Set([resource, audience].flat());
  if (targets.size > 1) throw new errors.InvalidTarget('a token is for exactly one resource');
  return [...targets][0];
}

/**
 * The requested scope, or by default all scopes of the subject token that the client may have.
 * @throws InvalidScope
 */
function limitScope(
  requested: string | undefined,
  subjectScopes: readonly string[],
  clientScopes: ReadonlySet<string>,
): string {
  const isAllowed = (scope: string) => subjectScopes.includes(scope) && clientScopes.has(scope);
  const scopes = requested === undefined ? subjectScopes.filter(isAllowed) : requested.split(' ');
  const excess = scopes.find((scope) => !isAllowed(scope));
  if (excess !== undefined)
    throw new errors.InvalidScope('the scope exceeds that of the subject_token or the client', excess);
  // Without this check, a token with authorization details but without scopes would allow all their actions.
  if (!scopes.length)
    throw new errors.InvalidScope('the subject_token and the client have no scope in common', '');
  return scopes.join(' ');
}

const countActors = ({ act }: Actor): number => 1 + (act ? countActors(act) : 0);
