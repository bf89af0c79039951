import { Injectable } from '@nestjs/common';
import type { AccessToken, Adapter, ClientCredentials, JWTStructured } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { accessTokenId } from '../access-tokens/access-token.entity.js';
import { Settings } from '../config/settings.js';
import { ReplayStore } from '../crypto/replay-store.service.js';
import type { SecretBox } from '../crypto/secret-box.js';
import { AccessTokenRecords } from './access-token-records.js';
import { Clients } from './clients.js';
import { CodeGuesses } from './grants/code-guesses.js';
import { POLLED, Polled } from './grants/polled.js';
import { Issuance } from './issuance.js';
import { recordsBox } from './live-records.js';
import { Records } from './records.js';
import { Replays } from './replays.js';

/** Where the engine keeps what: everything in the database. */
@Injectable()
export class Storage {
  private readonly box: SecretBox;
  private readonly issuance: Issuance;

  constructor(
    private readonly dataSource: DataSource,
    private readonly clients: Clients,
    readonly oneTime: ReplayStore,
    private readonly guesses: CodeGuesses,
    settings: Settings,
  ) {
    this.box = recordsBox(settings);
    this.issuance = new Issuance(dataSource);
  }

  of(kind: string): Adapter {
    if (kind === 'Client') return this.clients;
    if (kind === 'ReplayDetection') return new Replays(this.oneTime) as unknown as Adapter;
    if (kind === 'AccessToken' || kind === 'ClientCredentials')
      return new AccessTokenRecords(kind, this.dataSource, this.issuance);
    return POLLED.includes(kind)
      ? new Polled(kind, this.dataSource, this.box, this.guesses)
      : new Records(kind, this.dataSource, this.box);
  }

  /** The engine keeps no JWT that it issues. We do: what has no row is revoked. */
  async keepJwt(token: AccessToken | ClientCredentials, { payload }: JWTStructured): Promise<void> {
    const {
      kind,
      aud,
      scope,
      jkt,
      'x5t#S256': x5t,
      extra,
      rar,
      clientId,
      accountId,
      grantId,
    } = token as AccessToken;
    const { iat, exp } = payload as { iat: number; exp: number };
    const content = { kind, iat, aud, scope, jkt, 'x5t#S256': x5t, extra, rar };
    await this.issuance.keep(
      accessTokenId('jwt', token.jti),
      { ...content, clientId, accountId, grantId },
      exp - iat,
    );
  }
}
