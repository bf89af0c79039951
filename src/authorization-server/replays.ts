import type { Adapter } from 'oidc-provider';
import type { ReplayStore } from '../crypto/replay-store.service.js';

const AN_HOUR = 60 * 60_000;

/**
 * What the engine asks about replays. It first looks whether an id was used and then writes that it was; between the two
 * another process may do the same. So the look itself uses the id up, and the write has nothing left to do.
 */
export class Replays implements Partial<Adapter> {
  constructor(private readonly oneTime: ReplayStore) {}

  /** @returns undefined for the first who asks */
  async find(id: string) {
    const until = new Date(Date.now() + AN_HOUR);
    const first = await this.oneTime.use('oauth replay', id, until);
    return first ? undefined : { exp: Math.floor(until.getTime() / 1000) };
  }

  async upsert(): Promise<void> {}
}
