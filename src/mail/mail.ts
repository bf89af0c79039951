/** A mail in plain text to one recipient. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Hands mails over to a mail server, or keeps them for developers. */
export interface MailTransport {
  /** @throws an error, with `responseCode` if the mail server responded */
  deliver(mail: Mail, signal: AbortSignal): Promise<void>;
}

const MAX_SUBJECT_LENGTH = 200;
/** One `local-part@domain` of RFC 5321 section 4.1.2 in ASCII: no display name, quotes, comments or address literal. */
const ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?$/i;

export const isMailAddress = (text: string): boolean => ADDRESS.test(text);

/** Whether recipient and subject are safe in a header: a line break would start another header or the body. */
export const hasSafeHeaders = ({ to, subject }: Mail): boolean =>
  isMailAddress(to) && subject.length <= MAX_SUBJECT_LENGTH && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(subject);
