import { Injectable } from '@nestjs/common';
import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { buildTokenResponse, resolveRequestedResources } from 'oidc-provider/lib/helpers/grants.js';
import { DataSource } from 'typeorm';
import { AccessToken } from '../../access-tokens/access-token.entity.js';
import { AccessTokensService } from '../../access-tokens/access-tokens.service.js';
import type { VerifiedToken } from '../../access-tokens/verified-token.js';
import { BadCredential } from '../../authentication/challenge.js';
import type { Actor } from '../../authentication/principal.js';
import { incomingOf } from '../exchange.js';
import { refuseUnfit } from './acting-client.js';
import { exchangedFor } from './exchanged-for.js';
import { provedKeyOf } from './proved-key.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** Seconds. */
const LIFETIME = 300;
/** So many act for an account one after the other. More is no chain of services but a loop. */
const MOST_ACTORS = 4;

export interface ExchangeParameters {
  readonly subject_token?: string;
  readonly subject_token_type?: string;
  readonly actor_token?: string;
  readonly actor_token_type?: string;
  readonly requested_token_type?: string;
  readonly audience?: string | string[];
}
export const EXCHANGE_PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
];

type Context = TokenEndpointGrantContext<ExchangeParameters>;
interface Presented {
  readonly token: VerifiedToken;
  readonly row: AccessToken;
}

/**
 * Token exchange (RFC 8693): a service that was called with an access token gets one of its own for the next call. The new
 * token still speaks for the same account and says who acts (`act`). It never reaches more than the old one, nor lives
 * longer: its row hangs on the old one's, and goes with it.
 */
@Injectable()
export class TokenExchange {
  constructor(
    private readonly tokens: AccessTokensService,
    private readonly dataSource: DataSource,
  ) {}

  async answer(ctx: Context): Promise<void> {
    const { client, params, provider } = ctx.oidc;
    await refuseUnfit(client, this.dataSource);
    checkForm(params);
    const proved = await provedKeyOf(provider, ctx);

    const subject = await this.presented(ctx, 'subject_token', proved.jkt);
    if (!mayExchange(client, subject.row.clientId)) throw unacceptable('subject_token', 'of another client');
    const act = { sub: await this.actor(ctx), ...(subject.token.act && { act: subject.token.act }) };
    if (actors(act) > MOST_ACTORS) throw unacceptable('subject_token', 'was handed on too often');

    const remaining = Math.floor((subject.row.expiresAt.getTime() - Date.now()) / 1000);
    if (remaining < 1) throw unacceptable('subject_token', 'about to expire');
    params.resource = targetOf(params) ?? subject.row.content.aud!;
    const [target] = await resolveRequestedResources(provider, ctx);
    const token = new provider.AccessToken({
      client,
      accountId: subject.row.accountId,
      gty: 'token_exchange',
      expiresIn: Math.min(LIFETIME, remaining),
      scope: narrowed(params.scope, subject.token.scopes, target!.scopes),
      ...(subject.row.content.rar && { rar: subject.row.content.rar }),
    } as never);
    token.resourceServer = target!;
    const bound = await proved.bind(token);
    const { 'x5t#S256': x5t } = subject.row.content;
    if (!bound && x5t) token['x5t#S256'] = x5t;

    ctx.oidc.entity('AccessToken', token);
    const accessToken = await exchangedFor.run({ token: subject.row, act }, () => token.save());
    ctx.body = buildTokenResponse(provider, {
      accessToken,
      issuedTokenType: ACCESS_TOKEN,
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope: token.scope,
      authorizationDetails: token.rar,
    });
  }

  /** Who acts: the client, or the account of a token that was issued to this very client. */
  private async actor(ctx: Context): Promise<string> {
    const { client, params } = ctx.oidc;
    if (params.actor_token === undefined) return client.clientId;
    const { row, token } = await this.presented(ctx, 'actor_token');
    if (row.clientId !== client.clientId) throw unacceptable('actor_token', 'of another client');
    return token.account.kind === 'client' ? client.clientId : row.accountId;
  }

  /**
   * A token that was handed in, as live as it must be at the API. What is bound to a key is good only with that key's proof
   * here too: a service that was called with it cannot give that proof, so such a token ends where it was sent.
   */
  private async presented(
    ctx: Context,
    name: 'subject_token' | 'actor_token',
    key?: string,
  ): Promise<Presented> {
    const text = ctx.oidc.params[name]!;
    const request = incomingOf(ctx.req);
    try {
      const verify = this.tokens.verify(text, request);
      const token = await (key ? verify.catch(() => this.tokens.verify(text, request, key)) : verify);
      const row = await this.dataSource.manager.findOneBy(AccessToken, { id: token.credentialId });
      if (!row || token.account.disabledAt) throw unacceptable(name, 'not live, or not of this server');
      return { token, row };
    } catch (error) {
      if (error instanceof BadCredential) throw unacceptable(name, error.message);
      throw error;
    }
  }
}

/** RFC 8693, section 2.2.2: whatever is wrong with a token that was handed in, the request is. The reason is for the log. */
const unacceptable = (name: string, reason: string) =>
  new errors.InvalidRequest(`${name} is not acceptable`, 400, reason);

function checkForm(params: Context['oidc']['params']): void {
  const { subject_token, subject_token_type, actor_token, actor_token_type, requested_token_type } = params;
  if (!subject_token) throw new errors.InvalidRequest('subject_token is required');
  if (subject_token_type !== ACCESS_TOKEN)
    throw new errors.InvalidRequest(`subject_token_type must be ${ACCESS_TOKEN}`);
  if ((actor_token === undefined) !== (actor_token_type === undefined))
    throw new errors.InvalidRequest('actor_token and actor_token_type come together');
  if (actor_token_type !== undefined && actor_token_type !== ACCESS_TOKEN)
    throw new errors.InvalidRequest(`actor_token_type must be ${ACCESS_TOKEN}`);
  if (requested_token_type !== undefined && requested_token_type !== ACCESS_TOKEN)
    throw new errors.InvalidRequest(`requested_token_type must be ${ACCESS_TOKEN}`);
}

/** Its own tokens, and those of the clients that its registration names. */
function mayExchange(client: Context['oidc']['client'], clientId: string): boolean {
  const { exchanges } = client;
  return (
    clientId === client.clientId || (typeof exchanges === 'string' && exchanges.split(' ').includes(clientId))
  );
}

/** One place that the new token is for, whether it is named by its address (`resource`) or by name (`audience`). */
function targetOf({ resource = [], audience = [] }: Context['oidc']['params']): string | undefined {
  const named = new Set([resource, audience].flat());
  if (named.size > 1) throw new errors.InvalidTarget('a token is for one resource');
  return [...named][0];
}

/** What was asked for, or everything; never more than the old token has, nor than the client may have. */
function narrowed(asked: string | undefined, held: readonly string[], allowed: ReadonlySet<string>): string {
  const scopes = asked === undefined ? held.filter((scope) => allowed.has(scope)) : asked.split(' ');
  const wider = scopes.find((scope) => !held.includes(scope) || !allowed.has(scope));
  if (wider !== undefined) throw new errors.InvalidScope('the subject_token or the client has less', wider);
  // Without a scope a token with authorization details would reach whatever those name.
  if (!scopes.length) throw new errors.InvalidScope('nothing is left to be exchanged', '');
  return scopes.join(' ');
}

const actors = ({ act }: Actor): number => 1 + (act ? actors(act) : 0);
