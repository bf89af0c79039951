import type { EntityManager } from 'typeorm';
import { AuditLog } from '../audit/audit-log.service.js';
import { runCommand, type Command } from './command.js';
import { SigningKeys } from '../crypto/signing-keys.service.js';

const USAGE = `npm run keys -- rotate                 publishes the next signing key, which takes over in ten minutes
npm run keys -- replace-compromised    a new key takes over now; nothing that another has signed is good any more`;

const COMMANDS: Readonly<Record<string, (keys: SigningKeys, also: Also) => Promise<string>>> = {
  rotate: async (keys, also) => {
    const from = await keys.rotate(Date.now(), also);
    return from
      ? `The next key is published, and signs from ${from.toISOString()} on.`
      : 'A next key is published already, and has not taken over yet.';
  },
  'replace-compromised': async (keys, also) => {
    await keys.replaceCompromised(also);
    return 'A new key signs, and nothing that another has signed is good any more.';
  },
};

type Also = (manager: EntityManager) => Promise<void>;

const commandOf =
  (name: string, work: (keys: SigningKeys, also: Also) => Promise<string>): Command =>
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
