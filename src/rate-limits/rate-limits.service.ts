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
    readonly limit: 'address' | 'credential' | 'bad credentials',
    milliseconds: number,
  ) {
    super(
      { code: 'too_many_requests', detail: 'Too many requests. Try again after the time in Retry-After.' },
      HttpStatus.TOO_MANY_REQUESTS,
    );
    this.headers = { 'Retry-After': String(Math.max(1, Math.ceil(milliseconds / 1000))) };
  }
}

/**
 * Counts requests in this process or, if `REDIS_URL` is set, in Redis for all processes together. While Redis does not
 * respond, each process counts for itself.
 */
@Injectable()
export class RateLimitsService implements OnModuleInit, OnApplicationShutdown {
  private readonly redis: Redis | undefined;
  private readonly limiters: Readonly<Record<'address' | 'credential', RateLimiterMemory | RateLimiterRedis>>;

  constructor({ redisUrl, rateLimits }: Settings) {
    this.redis = redisUrl ? redisClient(redisUrl) : undefined;
    this.limiters = {
      address: this.limiter('address', rateLimits.perAddress),
      credential: this.limiter('credential', rateLimits.perCredential),
    };
  }

  /** Connects before the first request. The application also starts without Redis. */
  async onModuleInit(): Promise<void> {
    await this.redis?.connect().catch(() => {});
  }

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }

  /** @throws TooManyRequests if this request exceeds the limit */
  async consume(limit: 'address' | 'credential', key: string): Promise<void> {
    try {
      await this.limiters[limit].consume(key);
    } catch (error) {
      throw error instanceof RateLimiterRes ? new TooManyRequests(limit, error.msBeforeNext) : error;
    }
  }

  private limiter(limit: string, points: number): RateLimiterMemory | RateLimiterRedis {
    const options = { keyPrefix: `atlas:${limit}`, points, duration: MINUTE_SECONDS };
    const memory = new RateLimiterMemory(options);
    if (!this.redis) return memory;
    return new RateLimiterRedis({
      ...options,
      storeClient: this.redis,
      insuranceLimiter: memory,
      // A client over the limit is rejected without another request to Redis.
      inMemoryBlockOnConsumed: points,
    });
  }
}
