import {
  HttpException,
  HttpStatus,
  Injectable,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Settings } from '../config/settings.js';
import { redisClient } from './redis-client.js';

const MINUTE_SECONDS = 60;

/** 429: too many requests or wrong credentials within a minute. */
export class TooManyRequests extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  /** @param limit the limit that was reached, for the log only */
  constructor(
    readonly limit: Limit | 'bad credentials',
    milliseconds: number,
  ) {
    super(
      { code: 'too_many_requests', detail: 'Too many requests. Try again after the time in Retry-After.' },
      HttpStatus.TOO_MANY_REQUESTS,
    );
    this.headers = { 'Retry-After': String(Math.max(1, Math.ceil(milliseconds / 1000))) };
  }
}

type Limit = 'address' | 'credential';

/**
 * Counts requests in this process or, if `REDIS_URL` is set, in Redis for all processes together. While Redis does not
 * respond, each process counts for itself.
 */
@Injectable()
export class RateLimitsService implements OnModuleInit, OnApplicationShutdown {
  private readonly redis: Redis | undefined;
  private readonly shared: Readonly<Record<Limit, RateLimiterRedis>> | undefined;
  private readonly own: Readonly<Record<Limit, MinuteCounter>>;

  constructor({ redisUrl, rateLimits: { perAddress, perCredential } }: Settings) {
    this.own = {
      address: new MinuteCounter('address', perAddress),
      credential: new MinuteCounter('credential', perCredential),
    };
    if (!redisUrl) return;
    this.redis = redisClient(redisUrl);
    this.shared = {
      address: sharedLimiter(this.redis, 'address', perAddress),
      credential: sharedLimiter(this.redis, 'credential', perCredential),
    };
  }

  /** Connects before the first request. The application also starts without Redis. */
  async onModuleInit(): Promise<void> {
    await this.redis?.connect().catch(() => {});
  }

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }

  /**
   * Counts this request once for each key. Without Redis nothing waits, and the result is no promise.
   * @throws TooManyRequests if the request exceeds the limit of a key
   */
  consume(limit: Limit, ...keys: readonly string[]): true | Promise<true> {
    if (this.shared) return consumeShared(this.shared[limit], limit, keys);
    for (const key of keys) this.own[limit].consume(key);
    return true;
  }
}

/**
 * Counts in this process. All keys share one window, so the counts of the last one are dropped together. The memory
 * limiter of rate-limiter-flexible has a timer for each key, and its promises cost a twentieth of a request.
 */
class MinuteCounter {
  private counts = new Map<string, number>();
  private windowEnd = 0;

  constructor(
    private readonly limit: Limit,
    private readonly points: number,
  ) {}

  consume(key: string): void {
    const now = performance.now();
    if (now >= this.windowEnd) {
      this.counts = new Map();
      this.windowEnd = now + MINUTE_SECONDS * 1000;
    }
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    if (count > this.points) throw new TooManyRequests(this.limit, this.windowEnd - now);
  }
}

const sharedLimiter = (storeClient: Redis, limit: Limit, points: number) => {
  const options = { keyPrefix: `atlas:${limit}`, points, duration: MINUTE_SECONDS };
  return new RateLimiterRedis({
    ...options,
    storeClient,
    insuranceLimiter: new RateLimiterMemory(options),
    // A client over the limit is rejected without another request to Redis.
    inMemoryBlockOnConsumed: points,
  });
};

async function consumeShared(
  limiter: RateLimiterRedis,
  limit: Limit,
  keys: readonly string[],
): Promise<true> {
  try {
    for (const key of keys) await limiter.consume(key);
    return true;
  } catch (error) {
    throw error instanceof RateLimiterRes ? new TooManyRequests(limit, error.msBeforeNext) : error;
  }
}
