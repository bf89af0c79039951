import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { HostCookie } from '../../users/host-cookie.js';
import { InvalidPasskeyResponse } from './passkey.js';

export const CHALLENGE_LIFETIME_SECONDS = 2 * 60;

const Pending = z.strictObject({
  purpose: z.enum(['registration', 'sign-in', 'second-factor']),
  /** 32 random bytes in base64url (section 13.4.3). */
  challenge: z.string(),
  /** The account that registers a passkey or proves a second factor. */
  accountId: z.string().optional(),
  /** The account that the person named at the sign-in. */
  username: z.string().optional(),
  /** Milliseconds since 1970. */
  expires: z.int(),
});
export type PendingChallenge = z.output<typeof Pending>;
type Purpose = Pick<PendingChallenge, 'purpose' | 'accountId' | 'username'>;

/** Creates the challenges. Each is stored encrypted in a cookie of the browser that requested it, so there is no table. */
@Injectable()
export class PasskeyChallenges {
  private readonly box: SecretBox;
  private readonly cookie: HostCookie;

  constructor(
    settings: Settings,
    private readonly replays: ReplayStore,
  ) {
    this.box = new SecretBox(settings, 'passkey-challenges');
    this.cookie = new HostCookie(settings.publicUrl, 'passkey', CHALLENGE_LIFETIME_SECONDS);
  }

  /** @returns the challenge */
  create(purpose: Purpose, request: AuthRequest): string {
    const challenge = randomBytes(32).toString('base64url');
    const expires = Date.now() + CHALLENGE_LIFETIME_SECONDS * 1000;
    const pending: PendingChallenge = { ...purpose, challenge, expires };
    this.cookie.set(this.box.seal(JSON.stringify(pending), purpose.purpose), request);
    return challenge;
  }

  /**
   * The challenge of this browser for this purpose.
   * @throws InvalidPasskeyResponse
   * @throws BadRequestException `duplicate_cookie`
   */
  read(purpose: PendingChallenge['purpose'], request: AuthRequest): PendingChallenge {
    const pending = this.open(purpose, this.cookie.readOne(request));
    if (!pending) throw new InvalidPasskeyResponse('this browser has no challenge for this purpose');
    if (pending.expires <= Date.now()) throw new InvalidPasskeyResponse('the challenge has expired');
    return pending;
  }

  /**
   * Uses a challenge up. Call it after all other checks.
   * @throws InvalidPasskeyResponse if it was used before
   */
  async use({ challenge, expires }: PendingChallenge, request: AuthRequest): Promise<void> {
    if (!(await this.replays.use('passkey challenge', challenge, new Date(expires))))
      throw new InvalidPasskeyResponse('the challenge was used before');
    this.cookie.clear(request);
  }

  private open(purpose: string, sealed: string | undefined): PendingChallenge | undefined {
    if (sealed === undefined) return undefined;
    try {
      return Pending.parse(JSON.parse(this.box.open(sealed, purpose)));
    } catch {
      return undefined;
    }
  }
}
