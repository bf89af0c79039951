import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { DataSource, IsNull, LessThan, LessThanOrEqual, MoreThan, type EntityManager } from 'typeorm';
import { Settings } from '../config/settings.js';
import { SecretBox } from './secret-box.js';
import { SigningKey } from './signing-key.entity.js';

const MINUTE_MS = 60_000;
const CHECK_INTERVAL_MS = 60 * MINUTE_MS;
const ROTATION_INTERVAL_MS = 30 * 24 * 60 * MINUTE_MS;
/** Longer than any verifier caches the key set. */
const PUBLISH_BEFORE_USE_MS = 10 * MINUTE_MS;
/** Longer than the lifetime of any token. */
export const RETIRED_KEY_GRACE_MS = 10 * MINUTE_MS;

/** Work that is committed together with a rotation. */
type InTransaction = (manager: EntityManager) => Promise<void>;

/** The ES256 keys that sign tokens. They are stored in the database and shared by all processes. Private keys are encrypted. */
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
    if (!(await this.dataSource.manager.exists(SigningKey))) await this.add(1, new Date());
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.rotateIfDue().catch((error: unknown) => this.logger.error(error));
    }, CHECK_INTERVAL_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** The published keys with their private parts. The key that signs now comes first. */
  async published(): Promise<{ kid: string; key: KeyObject }[]> {
    const { kid } = await this.activeRow(this.dataSource.manager);
    const rows = await this.publishedRows();
    return rows
      .sort((a, b) => Number(b.kid === kid) - Number(a.kid === kid))
      .map((row) => ({ kid: row.kid, key: this.privateKeyOf(row) }));
  }

  /** The key that signs now. It is read from the database because another process may have rotated. */
  async active(manager: EntityManager): Promise<{ kid: string; key: KeyObject }> {
    const row = await this.activeRow(manager);
    return { kid: row.kid, key: this.privateKeyOf(row) };
  }

  /** The public key of this id. The caller checks on every request that the key's row is not retired. */
  find(kid: string): KeyObject | Promise<KeyObject | undefined> {
    return this.publicKeys.get(kid) ?? this.load(kid);
  }

  /** The public key set (RFC 7517 section 5): the next key, the active one, and retired ones within their grace period. */
  async jwks(): Promise<object[]> {
    const keys = await this.publishedRows();
    return keys.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: 'ES256', use: 'sig' }));
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
      const { generation } = await this.newestRow(manager);
      const unretired = { generation, retiredAt: IsNull(), activeFrom: LessThanOrEqual(new Date(now)) };
      const { affected } = await manager.update(SigningKey, unretired, { retiredAt: activeFrom });
      if (!affected) return undefined;
      await this.add(generation + 1, activeFrom, manager);
      await inTransaction?.(manager);
      return activeFrom;
    });
  }

  /** Replaces the keys after a private key leaked: a new key signs now, and every older signature becomes invalid. */
  async replaceCompromised(inTransaction?: InTransaction): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const { generation } = await this.newestRow(manager);
      const olderKeys = { generation: LessThanOrEqual(generation) };
      await manager.update(SigningKey, olderKeys, { retiredAt: new Date(0) });
      await this.add(generation + 1, new Date(), manager);
      await inTransaction?.(manager);
    });
  }

  /** Rotates a key that is `ROTATION_INTERVAL_MS` old, and deletes keys whose tokens have all expired. */
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

  private newestRow(manager: EntityManager): Promise<SigningKey> {
    return manager.findOneOrFail(SigningKey, { where: {}, order: { generation: 'DESC' } });
  }

  private activeRow(manager: EntityManager, now = new Date()): Promise<SigningKey> {
    return manager.findOneOrFail(SigningKey, {
      where: { activeFrom: LessThanOrEqual(now) },
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
    const row = await this.dataSource.manager.findOneBy(SigningKey, { kid });
    if (!row) return undefined;
    const key = createPublicKey({ key: row.publicJwk, format: 'jwk' });
    this.publicKeys.set(kid, key);
    return key;
  }

  /** The generation is unique, so two processes that start or rotate at once add one key. */
  private async add(generation: number, activeFrom: Date, manager = this.dataSource.manager): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const publicJwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
    const kid = thumbprint(publicJwk);
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    await manager
      .createQueryBuilder()
      .insert()
      .into(SigningKey)
      .values({
        kid,
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

/** RFC 7638: SHA-256 over the required members in alphabetical order. */
const thumbprint = ({ crv, kty, x, y }: Record<string, string>): string =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
