import { Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { DataSource, LessThan, MoreThan } from 'typeorm';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { deriveKey } from '../../crypto/derived-keys.js';
import { HourlyCleanup } from '../../database/hourly-cleanup.js';
import type { User } from '../../users/user.entity.js';
import { MagicLink } from './magic-link.entity.js';
import {
  MAGIC_LINK_LIFETIME_SECONDS,
  MAX_WRONG_CODES,
  codeMac,
  hashSecret,
  isSecret,
  mailboxMac,
  newCode,
  newSecret,
  type Purpose,
} from './magic-link.js';

/** The secrets of a request: two for the mail, one for the browser's cookie. */
export interface MagicLinkSecrets {
  readonly token: string;
  readonly code: string;
  readonly browser: string;
}

/** Stores the requested sign-ins. One statement uses a sign-in up, so several processes cannot use it twice. */
@Injectable()
export class PendingSignIns extends HourlyCleanup {
  private readonly key: KeyObject;

  constructor(
    private readonly dataSource: DataSource,
    settings: Settings,
  ) {
    super();
    this.key = deriveKey(settings.appSecret, 'magic-link');
  }

  mailboxOf(purpose: Purpose, owner: string): string {
    return mailboxMac(this.key, purpose, owner);
  }

  /**
   * Stores a request, and replaces an older one of the mailbox.
   * @param user undefined if no mail is sent: the row is the same, but nothing opens it
   */
  async create(
    mailbox: string,
    user: User | undefined,
    { issuer, scopes, returnTo }: Partial<Pick<MagicLink, 'issuer' | 'scopes' | 'returnTo'>> = {},
  ): Promise<MagicLinkSecrets> {
    const secrets = { token: newSecret(), code: newCode(), browser: newSecret() };
    const tokenHash = hashSecret(secrets.token);
    await this.dataSource.manager.upsert(
      MagicLink,
      {
        mailbox,
        userId: user?.id ?? null,
        epoch: user?.epoch ?? 0,
        tokenHash,
        browserHash: hashSecret(secrets.browser),
        codeMac: codeMac(this.key, tokenHash, secrets.code),
        attempts: 0,
        issuer: issuer ?? '',
        scopes: scopes ?? null,
        returnTo: returnTo ?? null,
        expiresAt: new Date(Date.now() + MAGIC_LINK_LIFETIME_SECONDS * 1000),
      },
      ['mailbox'],
    );
    return secrets;
  }

  /** @returns undefined for a token that is unknown, used, replaced or expired */
  async findByToken(token: unknown): Promise<MagicLink | undefined> {
    if (!isSecret(token)) return undefined;
    const found = await this.dataSource.manager.findOneBy(MagicLink, { tokenHash: hashSecret(token) });
    return found && found.userId !== null && found.expiresAt.getTime() > Date.now() ? found : undefined;
  }

  isBrowserOf({ browserHash }: MagicLink, browser: string | undefined): boolean {
    return isSecret(browser) && constantTimeEqual(hashSecret(browser), browserHash);
  }

  /** @returns whether this call has used the sign-in up */
  async use({ mailbox, tokenHash }: MagicLink): Promise<boolean> {
    const expiresAt = MoreThan(new Date());
    const { affected } = await this.dataSource.manager.delete(MagicLink, { mailbox, tokenHash, expiresAt });
    return affected === 1;
  }

  /**
   * Uses a sign-in up by its code. Every step runs for each mailbox, whether a request exists or not.
   * @param code undefined for a text that is no code
   */
  async useCode(mailbox: string, code: string | undefined): Promise<MagicLink | undefined> {
    const { manager } = this.dataSource;
    const { affected } = await manager
      .createQueryBuilder()
      .update(MagicLink)
      .set({ attempts: () => 'attempts + 1' })
      .where({ mailbox, attempts: LessThan(MAX_WRONG_CODES) })
      .execute();
    const found = await manager.findOneBy(MagicLink, { mailbox });
    const given = codeMac(this.key, found?.tokenHash ?? '', code ?? '');
    const isCorrect = constantTimeEqual(given, found?.codeMac ?? '') && code !== undefined;
    if (!affected || !found || found.userId === null || !isCorrect) return undefined;
    return (await this.use(found)) ? found : undefined;
  }

  async cleanUp(): Promise<void> {
    await this.dataSource.manager.delete(MagicLink, { expiresAt: LessThan(new Date()) });
  }
}
