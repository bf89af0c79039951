import { NoticesService } from '../../src/accounts/notices.service.js';
import { MailService } from '../../src/mail/mail.service.js';
import { client, type Booted } from '../support/app.js';

export interface SentMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** The mails to an address, the newest first, after all that were being sent have arrived. */
export async function mailsTo(booted: Booted, address: string): Promise<SentMail[]> {
  await booted.app.get(NoticesService, { strict: false }).flush();
  await booted.app.get(MailService, { strict: false }).flush();
  const { body } = await client(booted.origin).get(`/dev/mail?to=${encodeURIComponent(address)}`);
  return body.items as SentMail[];
}

/** The token in the link of the newest mail to an address. */
export async function mailedToken(booted: Booted, address: string): Promise<string> {
  const [mail] = await mailsTo(booted, address);
  const [, token] = /[?&]token=([\w-]+)/.exec(mail?.text ?? '') ?? [];
  if (!token) throw new Error(`No token in the mail: ${mail?.text}`);
  return token;
}
