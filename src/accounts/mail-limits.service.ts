import { HttpException, HttpStatus, Injectable } from '@nestjs/common';
import { hash } from 'node:crypto';
import { DataSource } from 'typeorm';
import { networkOf } from '../config/network.js';
import { consumeAll, createCounter, withCounterConnection, type Counter } from '../rate-limits/counter.js';

const HOUR_SECONDS = 60 * 60;
const MAX_MAILS_PER_NETWORK = 30;
const MAX_MAILS_PER_MAILBOX = 5;

/**
 * Limits the mails that requests cause, in the database: per network and per mailbox. It counts an address of an account like any
 * other, so a response reveals nothing. An account has one mailbox, so that limit is the account's, too.
 */
@Injectable()
export class MailLimits {
  private readonly networks: Counter;
  private readonly mailboxes: Counter;

  constructor(private readonly dataSource: DataSource) {
    this.networks = createCounter(dataSource, 'mail-network', MAX_MAILS_PER_NETWORK, HOUR_SECONDS);
    this.mailboxes = createCounter(dataSource, 'mailbox', MAX_MAILS_PER_MAILBOX, HOUR_SECONDS);
  }

  /**
   * @param addresses normalized; each of them gets a mail
   * @throws TooManyMails
   */
  async count(ip: string, ...addresses: readonly string[]): Promise<void> {
    const mailboxes = addresses.map(
      // The table need not show who has which address.
      (address) => [this.mailboxes, hash('sha256', address, 'base64url')] as const,
    );
    const keys = [[this.networks, networkOf(ip)] as const, ...mailboxes];
    const waitMs = await withCounterConnection(this.dataSource, () => consumeAll(keys));
    if (waitMs !== undefined) throw new TooManyMails(waitMs);
  }
}

/** 429: too many mails to this mailbox or from this network. */
export class TooManyMails extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  constructor(waitMs: number) {
    super(
      {
        code: 'too_many_mails',
        detail: 'Too many mails were requested. Try again after the time in Retry-After.',
      },
      HttpStatus.TOO_MANY_REQUESTS,
    );
    this.headers = { 'Retry-After': String(Math.max(1, Math.ceil(waitMs / 1000))) };
  }
}
