import type { SecurityNotice } from '../authentication/ports.js';
import { requestContext } from '../http/request-context.js';
import { BRAND } from '../pages/brand.js';

/** The request that caused a mail, as its reader sees it. */
export interface MailedRequest {
  readonly at: Date;
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
}

/** The request in progress: the callers of the port, such as a factor, do not have it. */
export function mailedRequest(): MailedRequest {
  const context = requestContext.getStore();
  return { at: new Date(), ip: context?.client.ip, userAgent: context?.userAgent };
}

export interface MailText {
  readonly subject: string;
  readonly text: string;
}

const MAX_USER_AGENT_LENGTH = 200;

/** The lines of a mail, without those that are undefined. */
const mail = (subject: string, ...lines: readonly (string | undefined)[]): MailText => ({
  subject: `${BRAND.name}: ${subject}`,
  text: `${lines.filter((line) => line !== undefined).join('\n')}\n`,
});

/** A request's header is text of a stranger: only printable ASCII remains, on one line. */
const sanitized = (userAgent: string): string =>
  userAgent.replace(/[^\x20-\x7e]/g, '').slice(0, MAX_USER_AGENT_LENGTH);

const originOf = ({ at, ip, userAgent }: MailedRequest): string[] => [
  `Time: ${at.toISOString()}`,
  ...(ip === undefined ? [] : [`Address: ${ip}`]),
  ...(userAgent === undefined ? [] : [`Program: ${sanitized(userAgent)}`]),
];

const NOTICES: Readonly<Record<SecurityNotice, readonly [subject: string, sentence: string]>> = {
  new_device: ['new sign-in', 'Your account was used from a network where it had not been used before.'],
  sign_in_after_failures: [
    'sign-in after failed attempts',
    'Somebody signed in to your account after several failed attempts.',
  ],
  password_changed: ['password changed', 'The password of your account was changed.'],
  factor_added: ['sign-in method added', 'A way to sign in was added to your account.'],
  factor_removed: ['sign-in method removed', 'A way to sign in was removed from your account.'],
  recovery_code_used: ['recovery code used', 'A recovery code of your account was used to sign in.'],
};

/** It has no link, so that a forged copy of it cannot have one either. */
export function noticeMail(notice: SecurityNotice, username: string, request: MailedRequest): MailText {
  const [subject, sentence] = NOTICES[notice];
  return mail(
    subject,
    `Hello ${username},`,
    '',
    sentence,
    '',
    ...originOf(request),
    '',
    'If this was you, you need to do nothing.',
    'If it was not you, reset your password at once and remove the ways to sign in that you do not recognize.',
    'Open the site yourself: this mail has no link on purpose.',
  );
}

/** A link to a page of this server. Never from the `Host` of a request, which an attacker chooses. */
export const accountLink = (publicUrl: string, page: string, token: string): string =>
  `${publicUrl}/account/${page}?token=${token}`;

export const resetMail = (username: string, link: string, request: MailedRequest): MailText =>
  mail(
    'reset your password',
    `Hello ${username},`,
    '',
    'A new password was requested for your account. To choose it, open this link within 30 minutes:',
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, ignore this mail: your password stays as it is.',
  );

export const registrationMail = (link: string, request: MailedRequest): MailText =>
  mail(
    'confirm your registration',
    'Hello,',
    '',
    'An account was requested for this address. To create it, open this link within 24 hours:',
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, ignore this mail: no account is created.',
  );

export const addressTakenMail = (username: string, request: MailedRequest): MailText =>
  mail(
    'you have an account',
    `Hello ${username},`,
    '',
    'An account was requested for this address, which has one already: yours.',
    'Sign in with it, or reset its password.',
    '',
    ...originOf(request),
    '',
    'If it was not you, ignore this mail: nothing was changed.',
  );

export const newEmailMail = (username: string, link: string, request: MailedRequest): MailText =>
  mail(
    'confirm your new address',
    'Hello,',
    '',
    `The account ${username} is to use this address. To confirm it, open this link within 30 minutes:`,
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, ignore this mail: the account does not get this address.',
  );

export const oldEmailMail = (
  username: string,
  newAddress: string,
  link: string,
  request: MailedRequest,
): MailText =>
  mail(
    'confirm the change of your address',
    `Hello ${username},`,
    '',
    `Your account is to use the address ${newAddress}. To agree, open this link within 30 minutes:`,
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, do not open the link: the address stays as it is. Somebody is signed in to your account.',
    'End all sign-ins and reset your password.',
  );

export const emailVerificationMail = (username: string, link: string, request: MailedRequest): MailText =>
  mail(
    'confirm your address',
    `Hello ${username},`,
    '',
    'To confirm the address of your account, open this link within 30 minutes:',
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, ignore this mail.',
  );

export const emailChangedMail = (username: string, newAddress: string, request: MailedRequest): MailText =>
  mail(
    'address changed',
    `Hello ${username},`,
    '',
    `Your account now uses the address ${newAddress}.`,
    '',
    ...originOf(request),
    '',
    'If this was not you, ask an administrator for help at once.',
  );

export const invitationMail = (
  tenant: string,
  role: string,
  link: string,
  request: MailedRequest,
): MailText =>
  mail(
    'you are invited',
    'Hello,',
    '',
    `An administrator of ${tenant} invites you, with the role ${role}. To create your account, open this link within 7 days:`,
    '',
    link,
    '',
    `Time: ${request.at.toISOString()}`,
    '',
    'If you do not know the inviter, ignore this mail: no account is created.',
  );

export const deletionMail = (
  username: string,
  deletesAt: Date,
  link: string,
  request: MailedRequest,
): MailText =>
  mail(
    'account to be deleted',
    `Hello ${username},`,
    '',
    `Your account is disabled, and will be deleted after ${deletesAt.toISOString()}. To keep it, open this link before:`,
    '',
    link,
    '',
    ...originOf(request),
    '',
    'If it was not you, open the link, and reset your password.',
  );

export const recoveryMail = (username: string, dueAt: Date, link: string, { at }: MailedRequest): MailText =>
  mail(
    'account recovery',
    `Hello ${username},`,
    '',
    'An administrator recovers your account, because you have lost your ways to sign in.',
    `After ${dueAt.toISOString()} your second factors are removed, and you get a link to a new password.`,
    '',
    'If you did not ask for it, keep your account as it is by this link:',
    '',
    link,
    '',
    `Time: ${at.toISOString()}`,
  );
