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

const MINUTE = 60_000;
/** How long a key is published before it signs: longer than anybody keeps a copy of the key set. */
const PUBLISHED_AHEAD = 10 * MINUTE;
/** How long what a retired key signed is still good: longer than any token lives. */
export const PUBLISH_BEFORE_USE_MS = 10 * MINUTE;
const ROTATE_AFTER = 30 * 24 * 60 * MINUTE;

type Also = (manager: EntityManager) => Promise<void>;

/** The keys that sign tokens (ES256), in the database, so that all processes have the same; private parts sealed. */
@Injectable()
export class SigningKeys implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(SigningKeys.name);
  private readonly box: SecretBox;
  private readonly privateKeys = new Map<string, KeyObject>();
  private readonly publicKeys = new Map<string, KeyObject>();
  private ticking: NodeJS.Timeout | undefined;

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
    this.ticking = setInterval(() => {
      this.tick().catch((error: unknown) => this.logger.error(error));
    }, 60 * MINUTE).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.ticking);
  }

  /** The keys that are published, with their private parts; the one to sign with now comes first. */
  async published(): Promise<{ kid: string; key: KeyObject }[]> {
    const { kid } = await this.activeRow(this.dataSource.manager);
    const rows = await this.publishedRows();
    return rows
      .sort((a, b) => Number(b.kid === kid) - Number(a.kid === kid))
      .map((row) => ({ kid: row.kid, key: this.privateKeyOf(row) }));
  }

  /** The key to sign with now. Asked of the database: another process may have rotated a moment ago. */
  async active(manager: EntityManager): Promise<{ kid: string; key: KeyObject }> {
    const row = await this.activeRow(manager);
    return { kid: row.kid, key: this.privateKeyOf(row) };
  }

  private privateKeyOf({ kid, sealed }: SigningKey): KeyObject {
    let key = this.privateKeys.get(kid);
    if (!key) this.privateKeys.set(kid, (key = createPrivateKey(this.box.open(sealed, kid))));
    return key;
  }

  /** The public key of this id. Whether it may still be used is to be asked of its row, on every request. */
  find(kid: string): KeyObject | Promise<KeyObject | undefined> {
    return this.publicKeys.get(kid) ?? this.load(kid);
  }

  /** All that is published: next, active, and retired whose tokens may still live (RFC 7517, section 5). */
  async jwks(): Promise<object[]> {
    const keys = await this.publishedRows();
    return keys.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: 'ES256', use: 'sig' }));
  }

  /**
   * Makes the next key, which takes over once everybody had the time to learn of it; no request fails.
   * Of two that rotate at once, one does.
   *
   * @param also what is to be committed together with it
   * @returns when it takes over; undefined where the one before has not taken over yet
   */
  async rotate(now = Date.now(), also?: Also): Promise<Date | undefined> {
    return this.dataSource.transaction(async (manager) => {
      const takesOver = new Date(now + PUBLISHED_AHEAD);
      const { generation } = await this.last(manager);
      const open = { generation, retiredAt: IsNull(), activeFrom: LessThanOrEqual(new Date(now)) };
      const { affected } = await manager.update(SigningKey, open, { retiredAt: takesOver });
      if (!affected) return undefined;
      await this.add(generation + 1, takesOver, manager);
      await also?.(manager);
      return takesOver;
    });
  }

  /**
   * Somebody else has a private key: a new one takes over now, and nothing that another has signed is good any more.
   * @param also what is to be committed together with it
   */
  async replaceCompromised(also?: Also): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const { generation } = await this.last(manager);
      await manager.update(
        SigningKey,
        { generation: LessThanOrEqual(generation) },
        { retiredAt: new Date(0) },
      );
      await this.add(generation + 1, new Date(), manager);
      await also?.(manager);
    });
  }

  /** Rotates where it is time to, and forgets keys whose tokens are all dead. */
  async tick(now = Date.now()): Promise<void> {
    const { activeFrom, retiredAt } = await this.activeRow(this.dataSource.manager, new Date(now));
    if (retiredAt === null && activeFrom.getTime() <= now - ROTATE_AFTER) await this.rotate(now);
    await this.dataSource.manager.delete(SigningKey, {
      retiredAt: LessThan(new Date(now - PUBLISH_BEFORE_USE_MS)),
    });
  }

  private publishedRows(): Promise<SigningKey[]> {
    return this.dataSource.manager.find(SigningKey, {
      where: [{ retiredAt: IsNull() }, { retiredAt: MoreThan(new Date(Date.now() - PUBLISH_BEFORE_USE_MS)) }],
      order: { generation: 'ASC' },
    });
  }

  private last(manager: EntityManager): Promise<SigningKey> {
    return manager.findOneOrFail(SigningKey, { where: {}, order: { generation: 'DESC' } });
  }

  private activeRow(manager: EntityManager, now = new Date()): Promise<SigningKey> {
    return manager.findOneOrFail(SigningKey, {
      where: { activeFrom: LessThanOrEqual(now) },
      order: { generation: 'DESC' },
    });
  }

  private async load(kid: string): Promise<KeyObject | undefined> {
    const row = await this.dataSource.manager.findOneBy(SigningKey, { kid });
    if (!row) return undefined;
    const key = createPublicKey({ key: row.publicJwk, format: 'jwk' });
    this.publicKeys.set(kid, key);
    return key;
  }

  /** Two processes that start, or rotate, at once make one key: the generation is unique. */
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

/** RFC 7638: SHA-256 over the members that make the key, in their alphabetical order. */
const thumbprint = ({ crv, kty, x, y }: Record<string, string>): string =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
