export interface Race<Thing> {
  /** The servers that share the one-time things; the uses of a thing are spread over all of them. */
  readonly origins: readonly string[];
  readonly rounds?: number;
  /** How many use one thing at the same time. */
  readonly parallel?: number;
  /** A one-time thing that nobody has used. */
  readonly make: () => Promise<Thing>;
  /** @returns whether this use was the one */
  readonly use: (origin: string, thing: Thing) => Promise<boolean>;
}

/**
 * Lets many use a one-time thing at once, round after round with a new thing, and counts who wins. A race that is there
 * shows in some rounds only, so do no fewer than the 200 that are the default.
 *
 * @returns the rounds that had not exactly one winner: `expect(await race({ … })).toEqual([])`
 */
export async function race<Thing>({
  origins,
  rounds = 200,
  parallel = 20,
  make,
  use,
}: Race<Thing>): Promise<{ round: number; winners: number }[]> {
  const unfair = [];
  for (let round = 0; round < rounds; round++) {
    const thing = await make();
    // Another server is the first to be asked in each round.
    const uses = Array.from({ length: parallel }, (_, i) =>
      use(origins[(round + i) % origins.length]!, thing),
    );
    const winners = (await Promise.all(uses)).filter(Boolean).length;
    if (winners !== 1) unfair.push({ round, winners });
  }
  return unfair;
}
