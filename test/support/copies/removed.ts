import { INSTALLED_METHODS } from '../../../src/app.module.js';
import { boot } from '../app.js';
import { enter, knock, report, type Answers } from './knock.js';

/** What is seen of an application from which a method was removed. */
export interface Seen {
  /** What the start refused with; nothing else was seen then. */
  readonly refused?: string;
  /** The names at `GET /methods`. */
  readonly listed: readonly string[];
  /** What `/demo/<the removed method>` answers. */
  readonly gone: number;
  readonly answers: Readonly<Record<string, Answers>>;
  /** How each ceremony ends, by its name and its issuer's. */
  readonly entered: Readonly<Record<string, number>>;
}

/** Runs in the copy: starts the application as it is without the method, and calls it in every way that is left. */
async function see(removed: string): Promise<Seen> {
  const booted = await boot({ methods: INSTALLED_METHODS });
  const listed = (await (await fetch(`${booted.origin}/methods`)).json()) as { name: string }[];
  const answers: Record<string, Answers> = {};
  const entered: Record<string, number> = {};
  const issuers = INSTALLED_METHODS.filter(({ issuer }) => issuer);
  for (const { name, strategy } of INSTALLED_METHODS)
    if (strategy) answers[name] = await knock(booted, name, '/me');
    else
      for (const issuer of issuers)
        entered[`${name} as ${issuer.name}`] = await enter(booted, name, issuer.name);
  const { status: gone } = await fetch(`${booted.origin}/demo/${removed}`);
  await booted.close();
  return { listed: listed.map(({ name }) => name), gone, answers, entered };
}

await report(await see(process.argv[2]!).catch((error: unknown) => ({ refused: String(error) })));
process.disconnect();
