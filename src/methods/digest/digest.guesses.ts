import { Injectable } from '@nestjs/common';
import { LoginAttempts, type AttemptOutcome } from '../../passwords/login-attempts.service.js';
import { VerifiedPasswords } from '../../passwords/verified-passwords.js';
import { normalizeUsername } from '../../users/username.js';
import type { DigestAccount } from './digest.accounts.js';

/** What came of holding an answer against an account; a right one that cannot be used came too late, or again. */
export type Outcome = 'good' | 'right' | 'wrong';

const ATTEMPT_OUTCOMES: Record<Outcome, AttemptOutcome> = {
  good: 'success',
  right: 'stale',
  wrong: 'failure',
};

/** Who answers wrongly guesses a password: it counts together with all other guesses at the account. */
@Injectable()
export class DigestGuesses {
  private readonly proofs = new VerifiedPasswords();

  constructor(private readonly attempts: LoginAttempts) {}

  /**
   * Settles before the caller learns of the outcome. Who has given a good answer from the same address in the last five
   * minutes has nothing to settle, so that not every request pays for counting.
   *
   * @param username as it was sent
   * @throws TooManyAttempts after too many failures for the account or from the address, whatever the outcome
   */
  async settle(
    outcome: Outcome,
    username: string,
    { user, sealed }: DigestAccount,
    ip: string,
  ): Promise<void> {
    const name = user?.username ?? normalizeUsername(username) ?? username;
    const count = async () => {
      const attempt = await this.attempts.open(name, user?.id ?? '', ip);
      await this.attempts.count(attempt, async () => ATTEMPT_OUTCOMES[outcome]);
    };
    if (outcome === 'good') await this.proofs.once(ip, [sealed], count);
    else await count();
  }
}
