import { Injectable } from '@nestjs/common';
import type { AdapterPayload } from 'oidc-provider';
import { DataSource, IsNull, LessThanOrEqual } from 'typeorm';
import type { SecretBox } from '../../crypto/secret-box.js';
import { NetworkLimit } from '../../rate-limits/network-limit.js';
import { errors, providerContext } from '../provider/oidc-provider.js';
import { OauthRecord } from './oauth-record.entity.js';
import { recordId } from './oauth-records.service.js';
import { RecordAdapter } from './record-adapter.js';

/** The kinds of record that a client polls for until a person has decided on another device. */
export const POLLED_KINDS = ['DeviceCode', 'BackchannelAuthenticationRequest'];

/** The default interval of RFC 8628 section 3.2 and of CIBA Core 1.0 section 7.3. */
const POLLING_INTERVAL_MS = 5_000;
/** Tolerates network jitter, so that a client that keeps the interval never receives `slow_down`. */
const POLLING_TOLERANCE_MS = 500;

const MAX_WRONG_CODES_PER_NETWORK = 20;
const MAX_WRONG_CODES = 2_000;
const WRONG_CODES_WINDOW_SECONDS = 15 * 60;

/** Adds to the storage of polled records: the polling interval, `expired_token`, and a limit on wrong user codes. */
export class PollingAdapter extends RecordAdapter {
  constructor(
    kind: string,
    dataSource: DataSource,
    box: SecretBox,
    private readonly attempts: UserCodeAttempts,
  ) {
    super(kind, dataSource, box);
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    const { oidc } = providerContext() ?? {};
    if (oidc?.route === 'token') await this.checkInterval(recordId(this.kind, id), oidc.client!.clientId);
    return super.find(id);
  }

  override async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    const ctx = providerContext()!;
    try {
      return await this.attempts.limit(ctx.ip, () => super.findByUserCode(userCode));
    } catch (error) {
      if (error instanceof TooManyUserCodes) ctx.set('Retry-After', String(error.retryAfter));
      throw error;
    }
  }

  /**
   * Applies to the client that the record belongs to. A conditional UPDATE decides between concurrent requests.
   * @throws ExpiredToken, SlowDown
   */
  private async checkInterval(id: string, clientId: string): Promise<void> {
    const { manager } = this.dataSource;
    const row = await manager.findOneBy(OauthRecord, { id, kind: this.kind, clientId });
    if (!row || row.consumedAt) return;
    const now = new Date();
    if (row.expiresAt && row.expiresAt <= now) throw new errors.ExpiredToken('the request has expired');
    const latest = new Date(now.getTime() - POLLING_INTERVAL_MS + POLLING_TOLERANCE_MS);
    const { affected } = await manager.update(
      OauthRecord,
      [
        { id, polledAt: IsNull() },
        { id, polledAt: LessThanOrEqual(latest) },
      ],
      { polledAt: now },
    );
    if (!affected) throw new errors.SlowDown();
  }
}

/** 429 on the page for user codes. */
export class TooManyUserCodes extends errors.CustomOIDCProviderError {
  /** @param retryAfter seconds */
  constructor(readonly retryAfter: number) {
    super('too_many_attempts', 'there were too many wrong codes');
    this.status = this.statusCode = 429;
  }
}

/**
 * Limits guesses at user codes (RFC 8628 section 5.1), with counters that all processes share. There are 20^8 codes. With a
 * thousand active codes, 2,000 guesses find one in about one of 13,000 windows.
 */
@Injectable()
export class UserCodeAttempts {
  private readonly wrongCodes: NetworkLimit;

  constructor(dataSource: DataSource) {
    const points = { perNetwork: MAX_WRONG_CODES_PER_NETWORK, total: MAX_WRONG_CODES };
    this.wrongCodes = new NetworkLimit(dataSource, 'device code', points, WRONG_CODES_WINDOW_SECONDS);
  }

  /**
   * Counts the attempt before the lookup and refunds it after a hit, so that concurrent guesses cannot exceed the limit.
   * @throws TooManyUserCodes
   */
  async limit<Found>(ip: string, lookUp: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const retryAfter = await this.wrongCodes.consume(ip);
    if (retryAfter !== undefined) throw new TooManyUserCodes(retryAfter);
    const found = await lookUp();
    if (found) await this.wrongCodes.refund(ip);
    return found;
  }
}
