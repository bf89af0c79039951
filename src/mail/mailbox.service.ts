import { Injectable } from '@nestjs/common';
import type { Mail, MailTransport } from './mail.js';

const MAX_MAILS = 100;

export interface StoredMail extends Mail {
  readonly id: number;
  readonly sentAt: Date;
}

/** Keeps the last mails in memory instead of sending them, for developers and tests. */
@Injectable()
export class Mailbox implements MailTransport {
  private mails: readonly StoredMail[] = [];
  private lastId = 0;

  async deliver(mail: Mail): Promise<void> {
    this.mails = [{ ...mail, id: ++this.lastId, sentAt: new Date() }, ...this.mails].slice(0, MAX_MAILS);
  }

  /** Newest first. */
  list(to?: string): readonly StoredMail[] {
    return to === undefined ? this.mails : this.mails.filter((mail) => mail.to === to);
  }

  find(id: number): StoredMail | undefined {
    return this.mails.find((mail) => mail.id === id);
  }
}
