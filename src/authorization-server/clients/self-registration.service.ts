import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { DataSource, IsNull, LessThan, Not } from 'typeorm';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { SCOPES } from '../../permissions.js';
import { NetworkLimit } from '../../rate-limits/network-limit.js';
import { authorizationServerConfig } from '../authorization-server.config.js';
import { errors } from '../provider/oidc-provider.js';
import type { ClientModel } from '../provider/oidc-provider.service.js';
import { OauthRecord } from '../storage/oauth-record.entity.js';
import { recordId } from '../storage/oauth-records.service.js';
import {
  checkMetadata,
  isPublicUrl,
  newClientId,
  newClientSecret,
  type Metadata,
} from './client-metadata.js';
import { ClientsService, OPEN_POLICY } from './clients.service.js';
import { OauthClient } from './oauth-client.entity.js';

/** The names of the policies that oidc-provider applies to invited clients, on registration and on every update. */
export const REGISTRATION_POLICY = 'registered';
export const RELAXED_REGISTRATION_POLICY = 'registered-relaxed';

const MAX_NEW_CLIENTS_PER_NETWORK = 20;
const MAX_NEW_CLIENTS = 500;
const WINDOW_SECONDS = 60 * 60;
const REGISTRATION_PATH = '/reg';
/** An open registration uses its initial access token at once. */
const TOKEN_SECONDS = 60;
/** Clients without an initial access token at any time. */
const MAX_OPEN_CLIENTS = 10_000;
/** The columns for a `client_id` have this length. */
const MAX_CLIENT_ID_CHARACTERS = 255;

type Features = NonNullable<Configuration['features']>;

/**
 * Clients that register themselves: by dynamic registration (RFC 7591, RFC 7592), with an initial access token of an
 * administrator or, if the settings allow it, without one; and by a Client ID Metadata Document.
 */
@Injectable()
export class SelfRegistration extends HourlyCleanup {
  private readonly newClients: NetworkLimit;

  constructor(
    private readonly dataSource: DataSource,
    private readonly replays: ReplayStore,
    private readonly clients: ClientsService,
    private readonly settings: Settings,
    @Inject(authorizationServerConfig.KEY)
    private readonly config: ConfigType<typeof authorizationServerConfig>,
  ) {
    super();
    const points = { perNetwork: MAX_NEW_CLIENTS_PER_NETWORK, total: MAX_NEW_CLIENTS };
    this.newClients = new NetworkLimit(dataSource, 'new client', points, WINDOW_SECONDS);
  }

  registration(): Features['registration'] {
    return {
      enabled: true,
      initialAccessToken: true,
      issueRegistrationAccessToken: true,
      idFactory: newClientId,
      secretFactory: async () => newClientSecret(),
      policies: {
        [REGISTRATION_POLICY]: (ctx, metadata) => this.admitInvited(ctx, metadata, 'invited'),
        [RELAXED_REGISTRATION_POLICY]: (ctx, metadata) => this.admitInvited(ctx, metadata, 'relaxed'),
        [OPEN_POLICY]: (ctx, metadata) => this.admitOpen(ctx, metadata),
      },
    };
  }

  clientIdMetadataDocument(): Features['clientIdMetadataDocument'] {
    return {
      enabled: this.config.clientIdMetadataDocuments,
      ack: 'draft-02',
      allowFetch: async (ctx, id) => {
        if (id.length > MAX_CLIENT_ID_CHARACTERS) return false;
        if (this.settings.environment === 'production' && !isPublicUrl(id)) return false;
        return (await this.newClients.consume(ctx.ip)) === undefined;
      },
      cacheDuration: { min: 60, max: WINDOW_SECONDS },
    };
  }

  /**
   * Koa middleware before oidc-provider's routes. oidc-provider applies policies only with an initial access token, so an
   * open registration gets one for this request. Responses contain the scopes of the API in `scope`.
   */
  middleware({ InitialAccessToken }: Provider) {
    return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
      const isOpen = ctx.method === 'POST' && ctx.path === REGISTRATION_PATH && !ctx.get('Authorization');
      if (isOpen && this.config.openRegistration) {
        const retryAfter = await this.newClients.consume(ctx.ip);
        if (retryAfter !== undefined) return tooManyClients(ctx, retryAfter);
        const token = new InitialAccessToken({ policies: [OPEN_POLICY], expiresIn: TOKEN_SECONDS });
        ctx.req.headers.authorization = `Bearer ${await token.save()}`;
      }
      await next();
      if (ctx.path.startsWith(REGISTRATION_PATH) && isMetadata(ctx.body)) ctx.body = joinScope(ctx.body);
    };
  }

  /** Deletes the open clients that nobody has given a consent within a day, or not any more. */
  async cleanUp(): Promise<void> {
    const { manager } = this.dataSource;
    const expired = await manager
      .createQueryBuilder(OauthClient, 'client')
      .where({ expiresAt: LessThan(new Date()) })
      .andWhere(
        (query) =>
          `NOT EXISTS ${query
            .subQuery()
            .select('1')
            .from(OauthRecord, 'consent')
            .where(`consent."clientId" = client.id AND consent.kind = 'Grant'`)
            .getQuery()}`,
      )
      .getMany();
    for (const { id } of expired) await this.clients.destroy(id);
  }

  private async admitInvited(
    ctx: KoaContextWithOIDC,
    metadata: Metadata,
    admission: 'invited' | 'relaxed',
  ): Promise<void> {
    checkMetadata(metadata, admission);
    if (ctx.oidc.route !== 'registration') return;
    validate(ctx, metadata);
    const { jti, exp } = ctx.oidc.entities.InitialAccessToken!;
    const where = { id: recordId('InitialAccessToken', jti) };
    const row = await this.dataSource.manager.findOne(OauthRecord, { where, relations: { account: true } });
    if (!row?.account?.roles.includes('admin'))
      throw new errors.InvalidToken('the initial access token is not of an administrator');
    if (!(await this.replays.use('oauth initial access token', jti, new Date(exp! * 1000))))
      throw new errors.InvalidToken('the initial access token was already used');
  }

  private async admitOpen(ctx: KoaContextWithOIDC, metadata: Metadata): Promise<void> {
    if (!this.config.openRegistration) throw new errors.AccessDenied('open registration is off');
    checkMetadata(metadata, 'open');
    // The default of RFC 7591 section 2. A person consents to each scope.
    if (metadata['scope'] === undefined) metadata['resource_scopes'] ??= SCOPES.join(' ');
    if (ctx.oidc.route !== 'registration') return;
    validate(ctx, metadata);
    const open = await this.dataSource.manager.countBy(OauthClient, { expiresAt: Not(IsNull()) });
    if (open >= MAX_OPEN_CLIENTS) throw new errors.TemporarilyUnavailable('too many clients are registered');
  }
}

function tooManyClients(ctx: KoaContextWithOIDC, retryAfter: number): void {
  ctx.set('Retry-After', String(retryAfter));
  ctx.status = 429;
  ctx.body = { error: 'too_many_attempts', error_description: 'there were too many new clients' };
}

/** Metadata for a response: `scope` contains the scopes of the API again. */
export function joinScope<T extends Metadata>(metadata: T): T {
  const scope = [metadata['scope'], metadata['resource_scopes']].filter(Boolean).join(' ');
  return scope ? { ...metadata, scope } : metadata;
}

const isMetadata = (body: unknown): body is Metadata =>
  typeof body === 'object' && body !== null && 'client_id' in body;

/** Validates before an initial access token is used up and before the client is counted. */
function validate(ctx: KoaContextWithOIDC, metadata: Metadata): void {
  const Client = ctx.oidc.provider.Client as unknown as ClientModel;
  const { clientId: _valid } = new Client({ ...metadata }, ctx);
}
