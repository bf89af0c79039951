import { Provider, errors, type AdapterPayload } from 'oidc-provider';
import { IsNull, LessThanOrEqual, type DataSource } from 'typeorm';
import type { SecretBox } from '../../crypto/secret-box.js';
import { digestOf } from '../endings.js';
import { OauthRecord } from '../record.entity.js';
import { Records } from '../records.js';
import { TooManyCodes, type CodeGuesses } from './code-guesses.js';

/** What a client asks for again and again until a person has decided somewhere else. */
export const POLLED = ['DeviceCode', 'BackchannelAuthenticationRequest'];

/** Milliseconds between two questions: what both RFC 8628 and CIBA mean where nothing is said. */
const INTERVAL = 5_000;
/** Clocks and networks jitter: whoever keeps to the interval is never told to slow down. */
const JITTER = 500;

/** The engine's storage of what is polled for. It adds what the engine leaves out: the pace, the word for what has run out, and a limit to guessing. */
export class Polled extends Records {
  constructor(
    kind: string,
    dataSource: DataSource,
    box: SecretBox,
    private readonly guesses: CodeGuesses,
  ) {
    super(kind, dataSource, box);
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const { oidc } = Provider.ctx ?? {};
    if (oidc?.route === 'token') await this.keepPace(digestOf(this.kind, id), oidc.client!.clientId);
    return super.find(id);
  }

  override async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    const ctx = Provider.ctx!;
    try {
      return await this.guesses.guess(ctx.ip, () => super.findByUserCode(userCode));
    } catch (error) {
      if (error instanceof TooManyCodes) ctx.set('Retry-After', String(error.retryAfter));
      throw error;
    }
  }

  /**
   * Only the client whose it is sets the pace. Which question comes too soon, the database decides.
   * @throws ExpiredToken, SlowDown
   */
  private async keepPace(id: string, clientId: string): Promise<void> {
    const { manager } = this.dataSource;
    const row = await manager.findOneBy(OauthRecord, { id, kind: this.kind, clientId });
    if (!row || row.consumedAt) return;
    const now = new Date();
    if (row.expiresAt && row.expiresAt <= now) throw new errors.ExpiredToken('it has run out');
    const before = new Date(now.getTime() - INTERVAL + JITTER);
    const { affected } = await manager.update(
      OauthRecord,
      [
        { id, polledAt: IsNull() },
        { id, polledAt: LessThanOrEqual(before) },
      ],
      { polledAt: now },
    );
    if (!affected) throw new errors.SlowDown();
  }
}
