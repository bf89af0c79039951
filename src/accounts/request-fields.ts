import { text, type ErrorCode } from '../authentication/describe.js';
import { DISPLAY_NAME_RULE, normalizeDisplayName } from '../users/display-name.js';
import { normalizeEmailAddress } from '../users/email-address.js';

/** The group of the routes in the OpenAPI document. */
export const ACCOUNT_TAG = 'Registration, recovery and the own account.';

/** A token of a mail's link. */
export const MailedToken = text(200, 1);

/** Above the limit of the password policy, whose message is better. */
export const NewPassword = text(1_024);

/** The code that uses it normalizes it. */
export const DisplayName = text(100, 1)
  .meta({ description: 'Without invisible characters. The server checks more.' })
  .refine((name) => normalizeDisplayName(name) !== undefined, `must have ${DISPLAY_NAME_RULE}`);

/** The errors of routes that send mails. */
export const MAIL_ERRORS = ['429 too_many_mails', '503 mail_unavailable'] as const satisfies ErrorCode[];

/** The canonical form of a validated `EmailAddress`. */
export const canonical = (email: string): string => normalizeEmailAddress(email)!;
