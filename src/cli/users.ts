import { text } from 'node:stream/consumers';
import type { DataSource } from 'typeorm';
import { AuditLog } from '../audit/audit-log.service.js';
import type { Role } from '../authentication/principal.js';
import { runCommand, type Command } from './command.js';
import { addAccount } from '../passwords/add-account.js';
import { setPassword } from '../passwords/set-password.js';
import { changeRoles, disableAccount } from '../users/change-account.js';
import { ROLES } from '../permissions.js';

const USAGE = `npm run users -- add <tenant> <username> <role>…    makes an account; the password comes on standard input
npm run users -- password <username>                a new password, from standard input; ends all sign-ins
npm run users -- roles <username> <role>…           these roles and no others
npm run users -- disable <username>                 ends all sign-ins, and lets nothing of the account in
npm run users -- enable <username>
roles: ${ROLES.join(', ')}`;

const isRole = (word: string): word is Role => (ROLES as readonly string[]).includes(word);

/** The line's end is the keyboard's, and no part of the password. */
const typed = async () => (await text(process.stdin)).replace(/\r?\n$/, '');

/** A command that writes down what it did. @param work gives the sentence to say of it */
const logged =
  (work: (dataSource: DataSource, log: AuditLog) => Promise<string>): Command =>
  async (dataSource, settings) => [await work(dataSource, new AuditLog(dataSource, settings))];

const COMMANDS: Readonly<Record<string, (...words: string[]) => Command | undefined>> = {
  add: (tenant, username, ...roles) => {
    if (!tenant || !username || !roles.length || !roles.every(isRole)) return undefined;
    return logged(async (dataSource, log) => {
      const id = await addAccount(dataSource, log, { tenant, username, roles, password: await typed() });
      return `The account ${id} is made.`;
    });
  },
  password: (username, ...more) => {
    if (!username || more.length) return undefined;
    return logged(async (dataSource, log) => {
      await setPassword(dataSource, log, username, await typed());
      return 'The password is set, and all sign-ins are ended.';
    });
  },
  roles: (username, ...roles) => {
    if (!username || !roles.length || !roles.every(isRole)) return undefined;
    return logged(async (dataSource, log) => {
      await changeRoles(dataSource, log, username, roles);
      return 'The roles are changed.';
    });
  },
  disable: (...words) => disabling(words, true),
  enable: (...words) => disabling(words, false),
};

function disabling([username, ...more]: string[], disabled: boolean): Command | undefined {
  if (!username || more.length) return undefined;
  return logged(async (dataSource, log) => {
    await disableAccount(dataSource, log, username, disabled);
    return `The account is ${disabled ? 'disabled' : 'enabled'}.`;
  });
}

runCommand(USAGE, ([command = '', ...words]) =>
  Object.hasOwn(COMMANDS, command) ? COMMANDS[command]!(...words) : undefined,
);
