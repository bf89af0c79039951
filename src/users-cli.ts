import { text } from 'node:stream/consumers';
import { AuditLog } from './audit/index.js';
import { ROLES, type Role } from './auth/index.js';
import { runCommand } from './command-line.js';
import { addAccount } from './passwords/index.js';

const USAGE = `npm run users -- add <tenant> <username> <role>…    makes an account; the password comes on standard input
roles: ${ROLES.join(', ')}`;

const isRole = (word: string): word is Role => (ROLES as readonly string[]).includes(word);

runCommand(USAGE, ([command, tenant, username, ...roles]) => {
  if (command !== 'add' || !tenant || !username || !roles.length || !roles.every(isRole)) return undefined;
  return async (dataSource, settings) => {
    // The line's end is the keyboard's, and no part of the password.
    const password = (await text(process.stdin)).replace(/\r?\n$/, '');
    const log = new AuditLog(dataSource, settings);
    const id = await addAccount(dataSource, log, { tenant, username, roles, password });
    return [`The account ${id} is made.`];
  };
});
