import {
  Injectable,
  Logger,
  ServiceUnavailableException,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import pLimit from 'p-limit';
import { setTimeout as delay } from 'node:timers/promises';
import { hasSafeHeaders, type Mail, type MailTransport } from './mail.js';

const MAX_WAITING_MAILS = 1_000;
const MAX_CONNECTIONS = 5;
/** A server that is busy, or that delays unknown senders (greylisting), accepts a mail later. */
const RETRY_DELAYS_MS = [1_000, 5_000, 30_000, 120_000];
/** The time that mails have at the end of the process. */
const MAX_SHUTDOWN_DELAY_MS = 3_000;

/**
 * Sends mails in the background, so that neither their time nor their failure shows in a response. Call it after the commit.
 * Mails that wait are lost when the process ends.
 */
@Injectable()
export class MailService implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('Mail');
  private readonly limit = pLimit(MAX_CONNECTIONS);
  private readonly deliveries = new Set<Promise<void>>();
  private readonly shutdown = new AbortController();

  /** @param transport undefined if mails cannot be sent */
  constructor(private readonly transport: MailTransport | undefined) {}

  onModuleInit(): void {
    if (!this.transport) this.logger.warn({ event: 'mails cannot be sent', reason: 'SMTP_URL is not set' });
  }

  /**
   * For a route that is useless without mails.
   * @throws ServiceUnavailableException `mail_unavailable`
   */
  assertAvailable(): void {
    if (this.transport) return;
    const detail = 'This server cannot send mails. Its operator must set SMTP_URL.';
    throw new ServiceUnavailableException({ code: 'mail_unavailable', detail });
  }

  send(mail: Mail): void {
    const { transport } = this;
    if (!hasSafeHeaders(mail)) return this.reject('the recipient or the subject is invalid');
    if (!transport) return this.reject('SMTP_URL is not set');
    if (this.deliveries.size >= MAX_WAITING_MAILS) return this.reject('too many mails are waiting');
    const delivery = this.deliver(mail, transport).finally(() => this.deliveries.delete(delivery));
    this.deliveries.add(delivery);
  }

  /** Resolves when no mail is waiting. */
  async flush(): Promise<void> {
    while (this.deliveries.size) await Promise.all(this.deliveries);
  }

  async onApplicationShutdown(): Promise<void> {
    const timeout = new AbortController();
    await Promise.race([
      this.flush(),
      delay(MAX_SHUTDOWN_DELAY_MS, undefined, { signal: timeout.signal }).catch(() => {}),
    ]);
    timeout.abort();
    this.shutdown.abort();
    await this.flush();
  }

  private async deliver(mail: Mail, transport: MailTransport): Promise<void> {
    const { signal } = this.shutdown;
    for (let attempts = 1; ; attempts++) {
      try {
        return await this.limit(() => transport.deliver(mail, signal));
      } catch (error) {
        const delayMs = RETRY_DELAYS_MS[attempts - 1];
        if (delayMs === undefined || isPermanent(error) || signal.aborted)
          return this.reject(causeOf(error), attempts);
        await delay(delayMs, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  /** Logs neither the recipient nor the text: a mail contains secrets. */
  private reject(reason: string, attempts = 0): void {
    this.logger.error({ event: 'mail not sent', reason, attempts });
  }
}

interface SmtpError extends Error {
  readonly code?: string;
  /** The status of the mail server's response (RFC 5321 section 4.2). */
  readonly responseCode?: number;
}

const isPermanent = (error: unknown) => ((error as SmtpError).responseCode ?? 0) >= 500;

/** Without the text of the mail server's response, which may quote the mail. */
function causeOf(error: unknown): string {
  const { code, responseCode, message } = error as SmtpError;
  return [code, responseCode ?? message].filter(Boolean).join(' ');
}
