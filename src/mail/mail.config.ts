import { z } from 'zod';
import { isLoopbackHost } from '../config/demo-settings.js';
import type { Settings } from '../config/settings.js';
import { isMailAddress } from './mail.js';

/** The mail server that accepts our mails (RFC 6409, RFC 8314). */
export interface SmtpConfig {
  readonly host: string;
  readonly port: number;
  /** TLS from the start (`smtps:`); otherwise STARTTLS. */
  readonly implicitTls: boolean;
  /** Rejects a server without STARTTLS. */
  readonly requireTls: boolean;
  readonly credentials: { readonly user: string; readonly pass: string } | undefined;
  readonly from: string;
}

/** `mailbox`: mails are shown at `/dev/mail`. `none`: every mail is an error in the log. */
export type MailConfig =
  | { readonly transport: 'smtp'; readonly smtp: SmtpConfig }
  | { readonly transport: 'mailbox' }
  | { readonly transport: 'none' };

const SUBMISSION_PORT = 587;
const IMPLICIT_TLS_PORT = 465;

/** No path and no query, because options of the library there could turn the check of certificates off. */
function isSmtpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, pathname, search, hash } = new URL(text);
  if (!/^smtps?:$/.test(protocol) || !hostname || search || hash || !['', '/'].includes(pathname))
    return false;
  return Boolean(username) === Boolean(password) && [username, password].every(isDecodable);
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

const schema = z.object({
  SMTP_URL: z
    .string()
    .refine(isSmtpUrl, 'must be a URL as smtps://user:password@mail.example.com, with % encoding')
    .optional(),
  MAIL_FROM: z.string().refine(isMailAddress, 'must be an address, as no-reply@example.com').optional(),
});

/** @throws InvalidSettings */
export function readMailConfig(settings: Settings): MailConfig {
  const { SMTP_URL: url, MAIL_FROM: from } = settings.section(schema);
  const publicHost = new URL(settings.publicUrl).hostname;
  if (url)
    return { transport: 'smtp', smtp: smtpConfig(new URL(url), from ?? `no-reply@${publicHost}`, settings) };
  const isLocal = isLoopbackHost(settings.host) && (settings.demo || isLoopbackHost(publicHost));
  return { transport: isLocal && !settings.production ? 'mailbox' : 'none' };
}

function smtpConfig(url: URL, from: string, { production }: Settings): SmtpConfig {
  const implicitTls = url.protocol === 'smtps:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const [user, pass] = [url.username, url.password].map(decodeURIComponent) as [string, string];
  return {
    host,
    port: Number(url.port) || (implicitTls ? IMPLICIT_TLS_PORT : SUBMISSION_PORT),
    implicitTls,
    requireTls: production && !isLoopbackHost(host),
    credentials: user ? { user, pass } : undefined,
    from,
  };
}
