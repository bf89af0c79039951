import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import type {
  AccessToken as ProviderToken,
  Adapter,
  AdapterPayload,
  ClientCredentials,
  JWTStructured,
} from 'oidc-provider';
import { DataSource, MoreThan } from 'typeorm';
import { AccessToken, accessTokenId } from '../../access-tokens/access-token.entity.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import type { SecretBox } from '../../crypto/secret-box.js';
import { authorizationServerConfig } from '../authorization-server.config.js';
import { browserBinding } from '../provider/http-security.js';
import { providerContext } from '../provider/oidc-provider.js';
import { presentedJwtOf } from '../provider/provider-request.js';
import { AccessTokenWriter } from './access-token-writer.js';
import { recordSecretBox } from './oauth-records.service.js';
import { POLLED_KINDS, PollingAdapter, UserCodeAttempts } from './polling-adapter.js';
import { RecordAdapter, RefreshTokenAdapter } from './record-adapter.js';

/** Creates oidc-provider's storage adapters. Everything is stored in the database. */
@Injectable()
export class AdapterFactory {
  private readonly box: SecretBox;
  private readonly writer: AccessTokenWriter;

  constructor(
    private readonly dataSource: DataSource,
    private readonly replays: ReplayStore,
    private readonly attempts: UserCodeAttempts,
    private readonly settings: Settings,
    @Inject(authorizationServerConfig.KEY)
    private readonly config: ConfigType<typeof authorizationServerConfig>,
  ) {
    this.box = recordSecretBox(settings);
    this.writer = new AccessTokenWriter(dataSource);
  }

  /** @param kind the name of a model, other than `Client` */
  create(kind: string): Adapter {
    if (kind === 'ReplayDetection') return new ReplayDetectionAdapter(this.replays) as unknown as Adapter;
    if (kind === 'AccessToken' || kind === 'ClientCredentials')
      return new AccessTokenAdapter(kind, this.dataSource, this.writer, this.settings.publicUrl);
    if (POLLED_KINDS.includes(kind))
      return new PollingAdapter(kind, this.dataSource, this.box, this.attempts);
    if (kind === 'RefreshToken')
      return new RefreshTokenAdapter(this.dataSource, this.box, this.config.refreshReuseSeconds);
    if (kind === 'Interaction') return new InteractionAdapter(kind, this.dataSource, this.box);
    return new RecordAdapter(kind, this.dataSource, this.box);
  }

  /** Stores a JWT access token; oidc-provider does not. A JWT without a row counts as revoked. */
  async saveJwt(token: ProviderToken | ClientCredentials, { payload }: JWTStructured): Promise<void> {
    const { kind, aud, scope, claims, jkt, 'x5t#S256': x5t, extra, rar } = token as ProviderToken;
    const { jti, clientId, accountId, grantId, sessionUid, expiresWithSession } = token as ProviderToken;
    const { iat, exp } = payload as { iat: number; exp: number };
    const session = { sessionUid, expiresWithSession };
    const content = { kind, iat, aud, scope, claims, jkt, 'x5t#S256': x5t, extra, rar, ...session };
    await this.writer.write(
      accessTokenId('jwt', jti),
      { ...content, clientId, accountId, grantId },
      exp - iat,
    );
  }
}

/**
 * Binds each interaction to the browser that started it. Its cookies could come from another host of the site (RFC 6265bis
 * section 8.6), so a page or a resumption finds an interaction only with the secret of that browser.
 */
class InteractionAdapter extends RecordAdapter {
  override upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void> {
    return super.upsert(id, { ...payload, browser: browserBinding() }, expiresIn);
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const { browser, ...payload } = (await super.find(id)) ?? {};
    return typeof browser === 'string' && constantTimeEqual(browser, browserBinding()) ? payload : undefined;
  }
}

/** Stores access tokens in the table that the API reads as well. */
class AccessTokenAdapter implements Adapter {
  constructor(
    private readonly kind: string,
    private readonly dataSource: DataSource,
    private readonly writer: AccessTokenWriter,
    private readonly apiAudience: string,
  ) {}

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    await this.writer.write(accessTokenId('opaque', id), payload, expiresIn);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const row = await this.dataSource.manager.findOne(AccessToken, {
      where: { id: this.rowId(id), expiresAt: MoreThan(new Date()) },
      relations: { account: true },
    });
    const content = row?.content as AdapterPayload | undefined;
    if (!row || content?.kind !== this.kind) return undefined;
    const { account, epoch } = row;
    if (!account || account.disabledAt || account.epoch !== epoch) return undefined;
    const owner = this.kind === 'AccessToken' && { accountId: row.accountId };
    const exp = Math.floor(row.expiresAt.getTime() / 1000);
    const jwt = presentedJwtOf(providerContext());
    const jti = jwt?.token === id ? jwt.jti : id;
    const found: AdapterPayload = { ...content, ...owner, jti, clientId: row.clientId, exp };
    // The userinfo endpoint rejects every audience. Tokens for the API are for this endpoint as well.
    if (providerContext()?.oidc.route === 'userinfo' && found['aud'] === this.apiAudience)
      delete found['aud'];
    return found;
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { id: this.rowId(id) });
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.dataSource.manager.delete(AccessToken, { grantId });
  }

  async consume(): Promise<void> {
    throw new Error('An access token is not a one-time token.');
  }

  async findByUid(): Promise<undefined> {}

  async findByUserCode(): Promise<undefined> {}

  /**
   * A `jti` names a row only if this request contains its JWT, with a valid signature: a `jti` is no secret, an opaque token is.
   * @param id an opaque token, a JWT, or its `jti` after {@link find}
   */
  private rowId(id: string): string {
    const jwt = presentedJwtOf(providerContext());
    return jwt && (id === jwt.token || id === jwt.jti)
      ? accessTokenId('jwt', jwt.jti)
      : accessTokenId('opaque', id);
  }
}

const REPLAY_RETENTION_MS = 60 * 60_000;

/**
 * Detects replayed `jti` values. oidc-provider calls `find` and then `upsert`; another process could use the same value in
 * between. So `find` already uses the value, atomically, and `upsert` does nothing.
 */
class ReplayDetectionAdapter implements Partial<Adapter> {
  constructor(private readonly replays: ReplayStore) {}

  /** @returns undefined on first use */
  async find(id: string) {
    const until = new Date(Date.now() + REPLAY_RETENTION_MS);
    const isFirstUse = await this.replays.use('oauth replay', id, until);
    return isFirstUse ? undefined : { exp: Math.floor(until.getTime() / 1000) };
  }

  async upsert(): Promise<void> {}
}
