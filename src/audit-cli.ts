import { purgeEvents, verifyChain, type Anchor } from './audit/index.js';
import { METHODS, schemaOf } from './app.module.js';
import { Settings } from './config/index.js';
import { dataSourceOptions, openDataSource } from './database/index.js';

const USAGE = `npm run audit -- verify [seq:hash]     walks the chain; the anchor is a head that it printed earlier
npm run audit -- purge 2026-01-31      takes away the events of before that day (UTC)`;

const anchorOf = (text: string): Anchor | undefined => {
  const [, seq, hash] = /^(\d+):([\w-]{43})$/.exec(text) ?? [];
  return seq && hash ? { seq: Number(seq), hash } : undefined;
};

/** @returns the exit code: 0 sound or done, 1 broken, 2 not understood */
async function main([command, argument]: readonly string[]): Promise<number> {
  const anchor = anchorOf(argument ?? '');
  const day = /^\d{4}-\d\d-\d\d$/.test(argument ?? '') ? new Date(`${argument}T00:00:00Z`) : undefined;
  const purging = command === 'purge' && day && !Number.isNaN(day.getTime());
  const verifying = command === 'verify' && (argument === undefined || anchor);
  if (!purging && !verifying) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const settings = Settings.from(process.env);
  const dataSource = await openDataSource(dataSourceOptions(settings, schemaOf(METHODS)));
  try {
    if (purging) {
      const last = await purgeEvents(dataSource, settings, day);
      process.stdout.write(last ? `purged up to ${last.seq}:${last.hash}\n` : 'nothing so old\n');
      return 0;
    }
    const verdict = await verifyChain(dataSource, settings, anchor);
    if (verdict.sound)
      process.stdout.write(
        `${verdict.events} events, unbroken. Head: ${verdict.head.seq}:${verdict.head.hash}\n`,
      );
    else process.stderr.write(`The chain breaks at event ${verdict.brokenAt}: ${verdict.why}.\n`);
    return verdict.sound ? 0 : 1;
  } finally {
    await dataSource.destroy();
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
