import { text } from 'node:stream/consumers';
import { AuditLog } from './audit/index.js';
import { ROLES, type Role } from './auth/index.js';
import { runCommand, type Command } from './command-line.js';
import { addAccount, setPassword } from './passwords/index.js';
import { changeRoles, disableAccount } from './users/index.js';

const USAGE = `npm run users -- add <tenant> <username> <role>…    makes an account; the password comes on standard input
npm run users -- password <username>                a new password, from standard input; ends all sign-ins
npm run users -- roles <username> <role>…           these roles and no others
npm run users -- disable <username>                 ends all sign-ins, and lets nothing of the account in
npm run users -- enable <username>
roles: ${ROLES.join(', ')}`;

const isRole = (word: string): word is Role => (ROLES as readonly string[]).includes(word);

/** The line's end is the keyboard's, and no part of the password. */
const typed = async () => (await text(process.stdin)).replace(/\r?\n$/, '');

const COMMANDS: Readonly<Record<string, (...words: string[]) => Command | undefined>> = {
  add: (tenant, username, ...roles) => {
    if (!tenant || !username || !roles.length || !roles.every(isRole)) return undefined;
    return async (dataSource, settings) => {
      const log = new AuditLog(dataSource, settings);
      const id = await addAccount(dataSource, log, { tenant, username, roles, password: await typed() });
      return [`The account ${id} is made.`];
    };
  },
  password: (username, ...more) => {
    if (!username || more.length) return undefined;
    return async (dataSource, settings) => {
      await setPassword(dataSource, new AuditLog(dataSource, settings), username, await typed());
      return ['The password is set, and all sign-ins are ended.'];
    };
  },
  roles: (username, ...roles) => {
    if (!username || !roles.length || !roles.every(isRole)) return undefined;
    return async (dataSource, settings) => {
      await changeRoles(dataSource, new AuditLog(dataSource, settings), username, roles);
      return ['The roles are changed.'];
    };
  },
  disable: (username, ...more) => (more.length ? undefined : disabling(username, true)),
  enable: (username, ...more) => (more.length ? undefined : disabling(username, false)),
};

function disabling(username: string | undefined, disabled: boolean): Command | undefined {
  if (!username) return undefined;
  return async (dataSource, settings) => {
    await disableAccount(dataSource, new AuditLog(dataSource, settings), username, disabled);
    return [`The account is ${disabled ? 'disabled' : 'enabled'}.`];
  };
}

runCommand(USAGE, ([command = '', ...words]) =>
  Object.hasOwn(COMMANDS, command) ? COMMANDS[command]!(...words) : undefined,
);
