export interface Race<Credential> {
  /** The servers that share the one-time credentials; the uses of a credential are spread over all of them. */
  readonly origins: readonly string[];
  readonly rounds?: number;
  /** The number of simultaneous uses of one credential. */
  readonly parallel?: number;
  /** Makes an unused one-time credential. */
  readonly make: () => Promise<Credential>;
  /** @returns whether this use succeeded */
  readonly use: (origin: string, credential: Credential) => Promise<boolean>;
}

/**
 * Uses a one-time credential many times in parallel, with a new credential in each round, and counts the successes. A race condition
 * shows only in some rounds, so do not lower the default of 200.
 *
 * @returns the rounds without exactly one success: `expect(await race({ … })).toEqual([])`
 */
export async function race<Credential>({
  origins,
  rounds = 200,
  parallel = 20,
  make,
  use,
}: Race<Credential>): Promise<{ round: number; successes: number }[]> {
  const failed = [];
  for (let round = 0; round < rounds; round++) {
    const credential = await make();
    // Each round starts at another server.
    const uses = Array.from({ length: parallel }, (_, i) =>
      use(origins[(round + i) % origins.length]!, credential),
    );
    const successes = (await Promise.all(uses)).filter(Boolean).length;
    if (successes !== 1) failed.push({ round, successes });
  }
  return failed;
}
