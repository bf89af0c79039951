import {
  HttpException,
  HttpStatus,
  Injectable,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Settings } from '../config/settings.js';
import { redisClient } from './redis-client.js';
import { networkOf } from './network.js';

const MINUTE_SECONDS = 60;

/** 429: more requests, or more wrong credentials, than a minute may have. */
export class TooManyRequests extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  /** @param limit which of them is reached: for the log, never for the caller */
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

const networks = new LRUCache<string, string>({ max: 10_000 });

/** {@link networkOf}, remembered: most requests come from an address that was here before. */
export function cachedNetworkOf(ip: string): string {
  let network = networks.get(ip);
  if (network === undefined) networks.set(ip, (network = networkOf(ip)));
  return network;
}

/**
 * Counts all requests: in the memory of this process or, where `REDIS_URL` is set, in Redis for all processes
 * together. Where Redis does not answer, requests do not wait for it: each process counts for itself meanwhile.
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

  /** The first requests are counted in Redis too; where there is none, they are answered all the same. */
  async onModuleInit(): Promise<void> {
    await this.redis?.connect().catch(() => {});
  }

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }

  /** @throws TooManyRequests where this request is one too many */
  async count(limit: 'address' | 'credential', key: string): Promise<void> {
    try {
      await this.limiters[limit].consume(key);
    } catch (refused) {
      throw refused instanceof RateLimiterRes ? new TooManyRequests(limit, refused.msBeforeNext) : refused;
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
      // Who is over the limit is refused without another question to Redis.
      inMemoryBlockOnConsumed: points,
    });
  }
}
