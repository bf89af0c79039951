import type { Mail } from '../../mail/mail.js';
import { BRAND } from '../../pages/brand.js';

const END = `They are valid for 10 minutes and work once. If you did not ask for this, ignore this mail. Give the code to nobody,
and type it only where you started.
`;

/** @param link absent if the credential is no cookie: a page could only display it */
export const signInMail = (to: string, code: string, link: string | undefined): Mail => ({
  to,
  subject: `Sign in to ${BRAND.name}`,
  text: link
    ? `Sign in to ${BRAND.name} by this link, in the browser in which you started:\n\n${link}\n\nOn another device type this code:\n\ncode: ${code}\n\n${END}`
    : `Sign in to ${BRAND.name} with this code:\n\ncode: ${code}\n\n${END}`,
});

export const stepUpMail = (to: string, code: string): Mail => ({
  to,
  subject: `Confirm that it is you at ${BRAND.name}`,
  text: `Confirm your action with this code:\n\ncode: ${code}\n\n${END}`,
});
