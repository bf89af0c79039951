import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { hash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { DataSource, IsNull, LessThan, LessThanOrEqual, MoreThan, type EntityManager } from 'typeorm';
import { Settings } from '../config/settings.js';
import { SecretBox } from './secret-box.js';
import { SIGNING_ALGORITHMS, SigningKey, type SigningAlgorithm } from './signing-key.entity.js';
import { z } from 'zod';

/** RFC 7517 section 5. */
export const JwkSet = z.object({ keys: z.array(z.record(z.string(), z.string())) }).meta({ id: 'JwkSet' });

const MINUTE_MS = 60_000;
const CHECK_INTERVAL_MS = 60 * MINUTE_MS;
const ROTATION_INTERVAL_MS = 30 * 24 * 60 * MINUTE_MS;
/** Longer than any verifier caches the key set. */
const PUBLISH_BEFORE_USE_MS = 10 * MINUTE_MS;
/** Longer than the lifetime of any token. */
export const RETIRED_KEY_GRACE_MS = 10 * MINUTE_MS;

/** Work that is committed together with a rotation. */
type InTransaction = (manager: EntityManager) => Promise<void>;

/**
 * The keys that sign tokens. They are stored in the database and shared by all processes. Private keys are encrypted. Every
 * token is signed with ES256, except ID tokens with RS256 for clients that are registered for it.
 */
@Injectable()
export class SigningKeys implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(SigningKeys.name);
  private readonly box: SecretBox;
  private readonly privateKeys = new Map<string, KeyObject>();
  private readonly publicKeys = new Map<string, KeyObject>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    this.box = new SecretBox(settings, 'signing keys');
  }

  async onModuleInit(): Promise<void> {
    await this.ensureKey('ES256');
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.rotateIfDue().catch((error: unknown) => this.logger.error(error));
    }, CHECK_INTERVAL_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** Adds the first key of an algorithm. It signs immediately, because no verifier has cached an older set. */
  async ensureKey(alg: SigningAlgorithm): Promise<void> {
    const exists = await this.dataSource.manager.existsBy(SigningKey, { alg });
    if (!exists) await this.add(alg, 1, new Date());
  }

  /** The published keys with their private parts. Those that sign now come before older and future keys. */
  async published(): Promise<{ kid: string; alg: SigningAlgorithm; key: KeyObject }[]> {
    const now = Date.now();
    const canSign = ({ activeFrom }: SigningKey) => Number(activeFrom.getTime() <= now);
    return (await this.publishedRows())
      .sort((a, b) => canSign(b) - canSign(a) || b.generation - a.generation)
      .map((row) => ({ kid: row.kid, alg: row.alg, key: this.privateKeyOf(row) }));
  }

  /** The ES256 key that signs now. It is read from the database because another process may have rotated. */
  async active(manager: EntityManager): Promise<{ kid: string; key: KeyObject }> {
    const row = await this.activeRow(manager);
    return { kid: row.kid, key: this.privateKeyOf(row) };
  }

  /** The public ES256 key of this id. The caller checks on every request that the key's row is not retired. */
  find(kid: string): KeyObject | Promise<KeyObject | undefined> {
    return this.publicKeys.get(kid) ?? this.load(kid);
  }

  /** The public key set (RFC 7517 section 5): the next key, the active one, and retired ones within their grace period. */
  async jwks(): Promise<object[]> {
    const keys = await this.publishedRows();
    return keys.map(({ kid, alg, publicJwk }) => ({ ...publicJwk, kid, alg, use: 'sig' }));
  }

  /**
   * Publishes the next key, which signs after `PUBLISH_BEFORE_USE_MS`. No request fails. Of two concurrent rotations one
   * succeeds.
   *
   * @returns when the next key becomes active; undefined if a next key is already published
   */
  async rotate(now = Date.now(), inTransaction?: InTransaction): Promise<Date | undefined> {
    return this.dataSource.transaction(async (manager) => {
      const activeFrom = new Date(now + PUBLISH_BEFORE_USE_MS);
      let rotated = false;
      for (const { alg, generation } of await this.newestRows(manager)) {
        const unretired = {
          alg,
          generation,
          retiredAt: IsNull(),
          activeFrom: LessThanOrEqual(new Date(now)),
        };
        const { affected } = await manager.update(SigningKey, unretired, { retiredAt: activeFrom });
        if (!affected) continue;
        await this.add(alg, generation + 1, activeFrom, manager);
        rotated = true;
      }
      if (!rotated) return undefined;
      await inTransaction?.(manager);
      return activeFrom;
    });
  }

  /** Replaces the keys after a private key leaked: a new key signs now, and every older signature becomes invalid. */
  async replaceCompromised(inTransaction?: InTransaction): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      for (const { alg, generation } of await this.newestRows(manager)) {
        const olderKeys = { alg, generation: LessThanOrEqual(generation) };
        await manager.update(SigningKey, olderKeys, { retiredAt: new Date(0) });
        await this.add(alg, generation + 1, new Date(), manager);
      }
      await inTransaction?.(manager);
    });
  }

  /** Rotates all keys when the ES256 key is `ROTATION_INTERVAL_MS` old, and deletes keys whose tokens have all expired. */
  async rotateIfDue(now = Date.now()): Promise<void> {
    const { activeFrom, retiredAt } = await this.activeRow(this.dataSource.manager, new Date(now));
    if (retiredAt === null && activeFrom.getTime() <= now - ROTATION_INTERVAL_MS) await this.rotate(now);
    await this.dataSource.manager.delete(SigningKey, {
      retiredAt: LessThan(new Date(now - RETIRED_KEY_GRACE_MS)),
    });
  }

  private publishedRows(): Promise<SigningKey[]> {
    return this.dataSource.manager.find(SigningKey, {
      where: [{ retiredAt: IsNull() }, { retiredAt: MoreThan(new Date(Date.now() - RETIRED_KEY_GRACE_MS)) }],
      order: { generation: 'ASC' },
    });
  }

  /** The newest key of every algorithm in use. */
  private async newestRows(manager: EntityManager): Promise<SigningKey[]> {
    const rows = await manager.find(SigningKey, { order: { generation: 'DESC' } });
    return SIGNING_ALGORITHMS.flatMap((alg) => rows.find((row) => row.alg === alg) ?? []);
  }

  private activeRow(manager: EntityManager, now = new Date()): Promise<SigningKey> {
    return manager.findOneOrFail(SigningKey, {
      where: { alg: 'ES256', activeFrom: LessThanOrEqual(now) },
      order: { generation: 'DESC' },
    });
  }

  private privateKeyOf({ kid, sealed }: SigningKey): KeyObject {
    const cached = this.privateKeys.get(kid);
    if (cached) return cached;
    const key = createPrivateKey(this.box.open(sealed, kid));
    this.privateKeys.set(kid, key);
    return key;
  }

  private async load(kid: string): Promise<KeyObject | undefined> {
    const row = await this.dataSource.manager.findOneBy(SigningKey, { kid, alg: 'ES256' });
    if (!row) return undefined;
    const key = createPublicKey({ key: row.publicJwk, format: 'jwk' });
    this.publicKeys.set(kid, key);
    return key;
  }

  /** Algorithm and generation are unique, so two processes that start or rotate at once add one key. */
  private async add(
    alg: SigningAlgorithm,
    generation: number,
    activeFrom: Date,
    manager = this.dataSource.manager,
  ): Promise<void> {
    const { privateKey, publicKey } =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicJwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
    const kid = thumbprint(publicJwk);
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    await manager
      .createQueryBuilder()
      .insert()
      .into(SigningKey)
      .values({
        kid,
        alg,
        generation,
        publicJwk,
        sealed: this.box.seal(pem, kid),
        activeFrom,
        retiredAt: null,
      })
      .orIgnore()
      .execute();
  }
}

/** RFC 7638: SHA-256 over the required members of an EC or RSA key, in alphabetical order. */
const thumbprint = ({ crv, e, kty, n, x, y }: Record<string, string>): string =>
  hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url');
