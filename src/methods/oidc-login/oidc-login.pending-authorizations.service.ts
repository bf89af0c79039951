import { BadRequestException, Injectable } from '@nestjs/common';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { TransactionCookie, sameText, type Transaction } from './oidc-login.js';

/** The ways to providers that are open: each lies sealed in the browser that is on it, and in no table. */
@Injectable()
export class Transactions {
  private readonly box: SecretBox;

  constructor(
    private readonly settings: Settings,
    private readonly oneTime: ReplayStore,
  ) {
    this.box = new SecretBox(settings, 'oidc-login');
  }

  begin(provider: string, transaction: Transaction, request: AuthRequest): void {
    const sealed = this.box.seal(JSON.stringify(transaction), provider);
    request.setHeader('Set-Cookie', this.cookieOf(provider).set(sealed));
  }

  /**
   * The transaction that an answer of the provider belongs to. It is over with this, whatever comes of the answer.
   * @param states as the answer has them: there should be one
   * @throws BadRequestException `invalid_transaction` where this browser has none at this provider with that state, or it
   *   is over
   */
  async end(
    provider: string,
    [state, ...more]: readonly string[],
    request: AuthRequest,
  ): Promise<Transaction> {
    const cookie = this.cookieOf(provider);
    const transaction = this.open(provider, cookie.read(request.header('Cookie')));
    if (!transaction || transaction.expires <= Date.now()) throw over();
    if (more.length || !sameText(state, transaction.state)) throw over();
    request.setHeader('Set-Cookie', cookie.clear());
    const first = await this.oneTime.use(
      'oidc-login transaction',
      transaction.state,
      new Date(transaction.expires),
    );
    if (!first) throw over();
    return transaction;
  }

  private open(provider: string, [sealed, ...others]: readonly string[]): Transaction | undefined {
    if (sealed === undefined || others.length) return undefined;
    try {
      return JSON.parse(this.box.open(sealed, provider)) as Transaction;
    } catch {
      return undefined;
    }
  }

  private cookieOf(provider: string): TransactionCookie {
    return new TransactionCookie(this.settings.publicUrl, provider);
  }
}

const over = () =>
  new BadRequestException({
    code: 'invalid_transaction',
    detail: 'This sign-in was not begun in this browser, took too long, or is over already. Begin again.',
  });
