import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { CredentialsService } from '../../users/credentials.service.js';
import { WebhookSource } from './webhook.entity.js';
import { newSecret } from './webhook.js';

export interface NewWebhookSource {
  readonly name: string;
  /** Without scopes, the secret is accepted for messages only. */
  readonly scopes?: readonly string[] | undefined;
  readonly expiresAt?: Date | undefined;
  /** Some senders generate the secret themselves. */
  readonly secret?: string | undefined;
}

/** A source with its secret, which is returned only once. */
export interface IssuedWebhookSource {
  readonly row: WebhookSource;
  readonly secret: string;
}

/** Issues, lists, rotates and revokes an account's own sources. */
@Injectable()
export class WebhookService {
  private readonly credentials: CredentialsService<WebhookSource>;

  constructor(
    dataSource: DataSource,
    audit: AuditPort,
    private readonly box: SecretBox,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, WebhookSource, 'webhook-source');
  }

  async issue(caller: Principal, source: NewWebhookSource): Promise<IssuedWebhookSource> {
    const { name, scopes = [], expiresAt, secret = newSecret() } = source;
    const id = `src_${randomBytes(12).toString('hex')}`;
    const row = await this.credentials.add(caller, {
      id,
      userId: caller.id,
      name,
      secret: this.box.seal(secret, id),
      previousSecret: null,
      previousUntil: null,
      scopes: [...scopes],
      createdAt: new Date(),
      expiresAt: expiresAt ?? null,
      lastUsedAt: null,
      revokedAt: null,
    });
    return { row, secret };
  }

  list(caller: Principal): Promise<WebhookSource[]> {
    return this.credentials.list(caller);
  }

  /** Replaces the secret of a source. The previous secret stays valid for `overlapSeconds`. */
  async rotate(
    caller: Principal,
    id: string,
    overlapSeconds: number,
    secret = newSecret(),
  ): Promise<IssuedWebhookSource> {
    const columns = { current: 'secret', previous: 'previousSecret' } as const;
    const sealed = this.box.seal(secret, id);
    return {
      row: await this.credentials.rotateSecret(caller, id, columns, sealed, overlapSeconds),
      secret,
    };
  }

  revoke(caller: Principal, id: string): Promise<void> {
    return this.credentials.revoke(caller, id);
  }
}
