import type { EntityManager } from 'typeorm';
import { AuditLog } from '../audit/audit-log.service.js';
import { runCommand, type Command } from './command.js';
import { SigningKeys } from '../crypto/signing-keys.service.js';

const USAGE = `npm run keys -- rotate                 publishes the next signing key; it signs after ten minutes
npm run keys -- replace-compromised    a new key signs at once; signatures of all others become invalid`;

const COMMANDS: Readonly<
  Record<string, (keys: SigningKeys, inTransaction: InTransaction) => Promise<string>>
> = {
  rotate: async (keys, inTransaction) => {
    const from = await keys.rotate(Date.now(), inTransaction);
    return from
      ? `The next key is published. It signs from ${from.toISOString()}.`
      : 'A next key is already published and does not sign yet.';
  },
  'replace-compromised': async (keys, inTransaction) => {
    await keys.replaceCompromised(inTransaction);
    return 'A new key signs. Signatures of all other keys are now invalid.';
  },
};

/** Runs in the transaction of the key change. */
type InTransaction = (manager: EntityManager) => Promise<void>;

const commandOf =
  (name: string, work: (keys: SigningKeys, inTransaction: InTransaction) => Promise<string>): Command =>
  async (dataSource, settings) => {
    const keys = new SigningKeys(dataSource, settings);
    const log = new AuditLog(dataSource, settings);
    await keys.onModuleInit();
    const entry = { event: 'sensitive_update', target: 'signing-keys', details: { command: name } } as const;
    return [await work(keys, (manager) => log.append(manager, entry))];
  };

runCommand(USAGE, ([name = '', ...rest]) => {
  const work = rest.length || !Object.hasOwn(COMMANDS, name) ? undefined : COMMANDS[name];
  return work && commandOf(name, work);
});
