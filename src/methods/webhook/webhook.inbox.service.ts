import { Injectable } from '@nestjs/common';
import { hash } from 'node:crypto';
import { DataSource, LessThan } from 'typeorm';
import { AuditPort } from '../../authentication/ports.js';
import type { Principal } from '../../authentication/principal.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import { WebhookMessage } from './webhook.entity.js';

/** Longer than any sender retries: the schedule of the standard ends after 76 hours. */
const RETENTION_SECONDS = 7 * 86_400;

const nowInSeconds = () => Math.floor(Date.now() / 1000);
const sha256 = (bytes: string | Buffer) => hash('sha256', bytes, 'base64url');

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
   * Processes a message. Replace the audit event with your own processing. It commits together with the row of the message, so
   * a message whose processing fails is processed when the sender retries.
   *
   * @returns false for a message that was already processed
   */
  async accept(sender: Principal, sourceId: string, id: string, body: Buffer): Promise<boolean> {
    const until = nowInSeconds() + RETENTION_SECONDS;
    try {
      await this.dataSource.transaction(async (manager) => {
        await manager.insert(WebhookMessage, { sourceId, id, until });
        // The log stores digests, not content that the sender chose.
        const details = { message: sha256(id), body: sha256(body) };
        const target = `webhook-source:${sourceId}`;
        await this.audit.append(manager, { event: 'sensitive_create', actor: sender, target, details });
      });
      return true;
    } catch (error) {
      // The primary key rejects a duplicate, also while another process handles it.
      if (await this.dataSource.manager.existsBy(WebhookMessage, { sourceId, id })) return false;
      throw error;
    }
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(WebhookMessage, { until: LessThan(nowInSeconds()) });
  }
}
