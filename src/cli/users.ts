import { parseArgs } from 'node:util';
import type { DataSource } from 'typeorm';
import { AuditLog } from '../audit/audit-log.service.js';
import type { Role } from '../authentication/principal.js';
import { runCommand, type Command } from './command.js';
import { readPassword } from './read-password.js';
import { addAccount } from '../passwords/add-account.js';
import { setPassword } from '../passwords/set-password.js';
import { addMachineAccount } from '../users/new-account.js';
import { changeName, changeRoles, disableAccount } from '../users/change-account.js';
import { ROLES } from '../permissions.js';

const USAGE = `npm run users -- add <tenant> <username> <role>… [--name <name>] [--email <address>]  creates an account; reads the password from standard input
npm run users -- add-machine <tenant> <username> <role>…          creates a machine account, which has no password
npm run users -- name <username> <name>                           replaces the account's display name; an empty one removes it
npm run users -- password <username>                              sets a password from standard input; ends all sign-ins
npm run users -- roles <username> <role>…                         replaces the account's roles
npm run users -- disable <username>, enable <username>            ends all sign-ins and rejects the account's credentials
roles: ${ROLES.join(', ')}`;

const isRole = (word: string): word is Role => (ROLES as readonly string[]).includes(word);

/** Gives `work` an audit log. @param work returns the message to print */
const withAuditLog =
  (work: (dataSource: DataSource, log: AuditLog) => Promise<string>): Command =>
  async (dataSource, settings) => [await work(dataSource, new AuditLog(dataSource, settings))];

const COMMANDS: Readonly<Record<string, (...args: string[]) => Command | undefined>> = {
  add: (...words) => {
    const { name, email, positionals } = withOptions(words);
    const [tenant, username, ...roles] = positionals;
    if (!tenant || !username || !roles.length || !roles.every(isRole)) return undefined;
    return withAuditLog(async (dataSource, log) => {
      const id = await addAccount(dataSource, log, {
        tenant,
        username,
        name,
        email,
        roles,
        password: await readPassword(process.stdin),
      });
      return `Account ${id} created.`;
    });
  },
  'add-machine': (tenant, username, ...roles) => {
    if (!tenant || !username || !roles.length || !roles.every(isRole)) return undefined;
    return withAuditLog(async (dataSource, log) => {
      const account = await addMachineAccount(dataSource, log, { tenant, username, roles });
      if (!account) throw new Error('An account with this username exists.');
      return `Machine account ${account.id} created. An administrator of the tenant issues its credentials.`;
    });
  },
  name: (username, name, ...more) => {
    if (!username || name === undefined || more.length) return undefined;
    return withAuditLog(async (dataSource, log) => {
      await changeName(dataSource, log, username, name);
      return name ? 'Name changed.' : 'Name removed.';
    });
  },
  password: (username, ...more) => {
    if (!username || more.length) return undefined;
    return withAuditLog(async (dataSource, log) => {
      await setPassword(dataSource, log, username, await readPassword(process.stdin));
      return 'Password set. All sign-ins of the account are ended.';
    });
  },
  roles: (username, ...roles) => {
    if (!username || !roles.length || !roles.every(isRole)) return undefined;
    return withAuditLog(async (dataSource, log) => {
      await changeRoles(dataSource, log, username, roles);
      return 'Roles changed.';
    });
  },
  disable: (...args) => setDisabled(args, true),
  enable: (...args) => setDisabled(args, false),
};

/** Finds the options of `add`. @returns no words if the options are invalid */
function withOptions(args: string[]): { name?: string; email?: string; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { name: { type: 'string' }, email: { type: 'string' } },
    });
    return { ...values, positionals };
  } catch {
    return { positionals: [] };
  }
}

function setDisabled([username, ...more]: string[], disabled: boolean): Command | undefined {
  if (!username || more.length) return undefined;
  return withAuditLog(async (dataSource, log) => {
    await disableAccount(dataSource, log, username, disabled);
    return `Account ${disabled ? 'disabled' : 'enabled'}.`;
  });
}

runCommand(USAGE, ([command = '', ...args]) =>
  Object.hasOwn(COMMANDS, command) ? COMMANDS[command]!(...args) : undefined,
);
