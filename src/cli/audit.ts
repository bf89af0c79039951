import { purgeEvents } from '../audit/purge-events.js';
import { verifyChain, type Anchor } from '../audit/verify-chain.js';
import { runCommand, type Command } from './command.js';

const USAGE = `npm run audit -- verify [seq:hash]     walks the chain; the anchor is a head that it printed earlier
npm run audit -- purge 2026-01-31      takes away the events of before that day (UTC)`;

const verify =
  (anchor?: Anchor): Command =>
  async (dataSource, settings) => {
    const verdict = await verifyChain(dataSource, settings, anchor);
    if (!verdict.sound) return [`The chain breaks at event ${verdict.brokenAt}: ${verdict.why}.`, false];
    return [`${verdict.events} events, unbroken. Head: ${verdict.head.seq}:${verdict.head.hash}`];
  };

const purge =
  (before: Date): Command =>
  async (dataSource, settings) => {
    const last = await purgeEvents(dataSource, settings, before);
    return [last ? `purged up to ${last.seq}:${last.hash}` : 'nothing so old'];
  };

const anchorOf = (text: string): Anchor | undefined => {
  const [, seq, hash] = /^(\d{1,15}):([\w-]{43})$/.exec(text) ?? [];
  return seq && hash ? { seq: Number(seq), hash } : undefined;
};

/** A day of the calendar: the 31st of February is none. */
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
