import { BadRequestException, Injectable } from '@nestjs/common';
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { DataSource, In, IsNull, LessThan, MoreThan, Not, type EntityManager } from 'typeorm';
import { HourlyCleanup } from '../database/hourly-cleanup.js';
import { AccountToken, type TokenPayloads, type TokenPurpose } from './account-token.entity.js';

const TOKEN_BYTES = 32;
const ACT_WHEN_EXPIRED: readonly TokenPurpose[] = ['deletion', 'recovery'];

export interface NewToken<P extends TokenPurpose> {
  readonly purpose: P;
  readonly accountId: string | null;
  readonly address: string;
  readonly payload: TokenPayloads[P];
  readonly lifetimeMs: number;
}

/** A valid token with the payload of its purpose. */
export type FoundToken<P extends TokenPurpose> = {
  [Each in P]: Omit<AccountToken, 'purpose' | 'payload'> & {
    readonly purpose: Each;
    readonly payload: TokenPayloads[Each];
  };
}[P];

/**
 * Creates the tokens of mails, and uses each once. In a transaction, lock the account's row before a token's, so that concurrent
 * transactions do not wait for each other.
 */
@Injectable()
export class AccountTokens extends HourlyCleanup {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /** @returns the row's id, and the token, which is not stored */
  async create<P extends TokenPurpose>(
    manager: EntityManager,
    { lifetimeMs, ...row }: NewToken<P>,
  ): Promise<{ id: string; token: string }> {
    const [id, token] = [randomUUID(), randomBytes(TOKEN_BYTES).toString('base64url')];
    const createdAt = new Date();
    const expiresAt = new Date(createdAt.getTime() + lifetimeMs);
    await manager.insert(AccountToken, {
      ...row,
      id,
      hash: hashOf(token),
      createdAt,
      expiresAt,
      usedAt: null,
    });
    return { id, token };
  }

  /**
   * Finds a token, without using it up.
   * @throws BadRequestException `invalid_mailed_token`
   */
  async find<P extends TokenPurpose>(token: string, ...purposes: readonly P[]): Promise<FoundToken<P>> {
    const row = await this.dataSource.manager.findOneBy(AccountToken, {
      hash: hashOf(token),
      purpose: In<TokenPurpose>(purposes),
      usedAt: IsNull(),
      expiresAt: MoreThan(new Date()),
    });
    if (!row) throw invalidMailedToken();
    return row as FoundToken<P>;
  }

  /**
   * Uses a token up. The row decides between concurrent requests.
   * @throws BadRequestException `invalid_mailed_token`
   */
  async use(manager: EntityManager, { id }: { readonly id: string }): Promise<void> {
    const { affected } = await manager.update(AccountToken, { id, usedAt: IsNull() }, { usedAt: new Date() });
    if (!affected) throw invalidMailedToken();
  }

  /** Deletes expired tokens. The others act when they expire, and are deleted then. */
  async cleanUp(): Promise<void> {
    const expired = { expiresAt: LessThan(new Date()) };
    await this.dataSource.manager.delete(AccountToken, { ...expired, purpose: Not(In(ACT_WHEN_EXPIRED)) });
    await this.dataSource.manager.delete(AccountToken, { ...expired, usedAt: Not(IsNull()) });
  }
}

const hashOf = (token: string): string => hash('sha256', token, 'base64url');

/** One error for every cause, so that it reveals nothing about an account. */
export const invalidMailedToken = () =>
  new BadRequestException({
    code: 'invalid_mailed_token',
    detail: 'This link is invalid, expired or already used. Request a new one.',
  });
