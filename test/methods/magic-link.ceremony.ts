import { MailService } from '../../src/mail/mail.service.js';
import { Mailbox } from '../../src/mail/mailbox.service.js';
import { codeRequest, mailRequest } from '../../src/methods/magic-link/magic-link.client.js';
import { UserEmail } from '../../src/users/user-email.entity.js';
import type { Ceremony } from '../support/contracts.js';

/** Signs in with the code of the mail. A link needs an issuer of cookies. */
export const ceremony: Ceremony = async ({ app, db, origin }, userId, issuer) => {
  const { address: email } = await db.manager.findOneByOrFail(UserEmail, { userId });
  await fetch(mailRequest(origin, { email, as: issuer }));
  await app.get(MailService, { strict: false }).flush();
  const [mail] = app.get(Mailbox, { strict: false }).list(email);
  const [, code = ''] = /^code: (\d{6})$/m.exec(mail!.text)!;
  return fetch(codeRequest(origin, { email, code, as: issuer }));
};
