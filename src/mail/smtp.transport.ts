import { BRAND } from '../pages/brand.js';
import type { SmtpConfig } from './mail.config.js';
import type { Mail, MailTransport } from './mail.js';

const TIMEOUT_MS = 15_000;
/** For one mail, however slowly the server responds. */
const MAX_DELIVERY_MS = 60_000;

/** Sends each mail over a connection of its own. */
export class SmtpTransport implements MailTransport {
  constructor(private readonly config: SmtpConfig) {}

  async deliver({ to, subject, text }: Mail, signal: AbortSignal): Promise<void> {
    const { createTransport } = await import('nodemailer');
    const { host, port, implicitTls, requireTls, credentials, from } = this.config;
    await createTransport({
      host,
      port,
      secure: implicitTls,
      requireTLS: requireTls,
      ...(credentials && { auth: credentials, forceAuth: true }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      socketCloseTimeout: 0,
      disableFileAccess: true,
      disableUrlAccess: true,
    }).sendMail({
      from: { name: BRAND.name, address: from },
      to: { name: '', address: to },
      envelope: { from, to },
      subject,
      text,
      // Keeps automatic replies away (RFC 3834 section 5).
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(MAX_DELIVERY_MS)]),
    });
  }
}
