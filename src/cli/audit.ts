import { purgeEvents } from '../audit/purge-events.js';
import { verifyChain, type ChainAnchor } from '../audit/verify-chain.js';
import { runCommand, type Command } from './command.js';

const USAGE = `npm run audit -- verify [seq:hash]     verifies the chain; seq:hash is a head printed earlier
npm run audit -- purge 2026-01-31      deletes the events before that day (UTC)`;

const verify =
  (anchor?: ChainAnchor): Command =>
  async (dataSource, settings) => {
    const verification = await verifyChain(dataSource, settings, anchor);
    if (!verification.valid)
      return [`The chain is broken at event ${verification.brokenAt}: ${verification.reason}.`, false];
    return [
      `${verification.events} events verified. Head: ${verification.head.seq}:${verification.head.hash}`,
    ];
  };

const purge =
  (before: Date): Command =>
  async (dataSource, settings) => {
    const last = await purgeEvents(dataSource, settings, before);
    return [last ? `Purged up to event ${last.seq}:${last.hash}` : 'No events before that day.'];
  };

const anchorOf = (text: string): ChainAnchor | undefined => {
  const [, seq, hash] = /^(\d{1,15}):([\w-]{43})$/.exec(text) ?? [];
  return seq && hash ? { seq: Number(seq), hash } : undefined;
};

/** @returns undefined for a date that does not exist, such as 2026-02-31 */
const dayOf = (text: string): Date | undefined => {
  const day = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? text : NaN);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text) ? day : undefined;
};

runCommand(USAGE, ([command, argument, ...rest]) => {
  if (rest.length) return undefined;
  if (command === 'verify' && argument === undefined) return verify();
  const anchor = anchorOf(argument ?? '');
  if (command === 'verify' && anchor) return verify(anchor);
  const day = dayOf(argument ?? '');
  return command === 'purge' && day ? purge(day) : undefined;
});
