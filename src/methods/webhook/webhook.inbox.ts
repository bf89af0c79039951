import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { DataSource, LessThan } from 'typeorm';
import type { Principal } from '../../authentication/principal.js';
import { AuditPort } from '../../authentication/ports.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { WebhookMessage } from './webhook.entity.js';

/** Longer than senders try again; the schedule that the standard gives ends after 76 hours. */
const REMEMBERED_SECONDS = 7 * 86_400;

const digestOf = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('base64url');

/** Processes each message once, however often it is delivered. */
@Injectable()
export class WebhookInbox extends HourlyCleanup {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audit: AuditPort,
  ) {
    super();
  }

  /**
   * That a message came and what came of it commit together: one that could not be processed is not remembered, so
   * the sender's next attempt is not taken for a duplicate. Your own processing goes where the event is written.
   *
   * @returns whether this was the first time
   */
  accept(sender: Principal, sourceId: string, id: string, body: Buffer): Promise<boolean> {
    const until = Math.floor(Date.now() / 1000) + REMEMBERED_SECONDS;
    return this.dataSource.transaction(async (manager) => {
      const first = await manager.sql<unknown[]>`
        INSERT INTO webhook_messages ("sourceId", id, until) VALUES (${sourceId}, ${id}, ${until})
        ON CONFLICT DO NOTHING RETURNING id`;
      if (!first.length) return false;
      // Digests show later what was delivered; the log holds nothing that a sender has written.
      const details = { message: digestOf(id), body: digestOf(body) };
      const target = `webhook-source:${sourceId}`;
      await this.audit.append(manager, { event: 'sensitive_create', actor: sender, target, details });
      return true;
    });
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(WebhookMessage, { until: LessThan(Math.floor(Date.now() / 1000)) });
  }
}
