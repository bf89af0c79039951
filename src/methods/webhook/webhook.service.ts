import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { Settings } from '../../config/settings.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { WebhookSource } from './webhook.entity.js';
import { newSecret } from './webhook.js';

/** A source, and its secret while it can still be told. */
interface Told {
  readonly row: WebhookSource;
  readonly secret: string;
}

/** The life of an account's own sources. */
@Injectable()
export class WebhookService {
  private readonly sources: CredentialsService<WebhookSource>;
  private readonly box: SecretBox;

  constructor(dataSource: DataSource, audit: AuditPort, settings: Settings) {
    this.sources = new CredentialsService(dataSource, audit, WebhookSource, 'webhook-source');
    this.box = new SecretBox(settings, 'webhook');
  }

  /**
   * @param wanted no scopes: the secret is good for messages, and for nothing that its owner may do besides
   * @param secret the sender's, where it makes its own
   */
  async issue(
    caller: Principal,
    name: string,
    wanted: { scopes?: string[] | undefined; expiresAt?: Date | undefined },
    secret = newSecret(),
  ): Promise<Told> {
    const id = `src_${randomBytes(12).toString('hex')}`;
    const row = await this.sources.add(caller, {
      id,
      userId: caller.id,
      name,
      secret: this.box.seal(secret, id),
      previousSecret: null,
      previousUntil: null,
      scopes: wanted.scopes ?? [],
      createdAt: new Date(),
      expiresAt: wanted.expiresAt ?? null,
      lastUsedAt: null,
      revokedAt: null,
    });
    return { row, secret };
  }

  list(caller: Principal): Promise<WebhookSource[]> {
    return this.sources.list(caller);
  }

  /** The secret of before stays good for `overlapSeconds`; a rotation during an overlap ends the oldest at once. */
  async rotate(caller: Principal, id: string, overlapSeconds: number, secret = newSecret()): Promise<Told> {
    const before = await this.sources.find(caller, id);
    const row = await this.sources.rotate(
      caller,
      before,
      { secret: before.secret },
      {
        secret: this.box.seal(secret, id),
        previousSecret: before.secret,
        previousUntil: new Date(Date.now() + overlapSeconds * 1000),
      },
    );
    return { row, secret };
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.sources.revoke(caller, id);
  }
}
