import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { AccountAdministration, AuditPort } from '../../authentication/ports.js';
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
  /** Absent: the caller's own account. */
  readonly accountId?: string | undefined;
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
    administration: AccountAdministration,
    private readonly box: SecretBox,
  ) {
    this.credentials = new CredentialsService(dataSource, audit, administration, WebhookSource, {
      kind: 'webhook-source',
      method: 'webhook',
    });
  }

  async issue(caller: Principal, source: NewWebhookSource): Promise<IssuedWebhookSource> {
    const { name, scopes = [], expiresAt, accountId = caller.id, secret = newSecret() } = source;
    const id = `src_${randomBytes(12).toString('hex')}`;
    const row = await this.credentials.add(caller, {
      id,
      userId: accountId,
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

  list(caller: Principal, accountId?: string): Promise<WebhookSource[]> {
    return this.credentials.list(caller, accountId);
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
