import { ForbiddenException, Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { deriveKey } from '../../crypto/derived-keys.js';
import { csrfToken, isForeign, isOurs, sameToken, type Asking } from './session.js';

/** Refuses what another site makes a browser send (cross-site request forgery). */
@Injectable()
export class Csrf {
  private readonly key: KeyObject;

  constructor(private readonly settings: Settings) {
    this.key = deriveKey(settings.appSecret, 'session/csrf');
  }

  tokenOf(sessionId: string): string {
    return csrfToken(this.key, sessionId);
  }

  /**
   * For a request that changes something in a session.
   * @throws ForbiddenException `invalid_csrf_token`
   */
  refuse(request: AuthRequest, sessionId: string): void {
    if (!isOurs(asking(request), this.settings.publicUrl))
      throw csrf(
        'A page of this origin must ask: Sec-Fetch-Site or Origin says otherwise, or both are missing.',
      );
    if (!sameToken(request.header('X-CSRF-Token'), this.tokenOf(sessionId)))
      throw csrf('X-CSRF-Token must hold the token of this session.');
  }

  /**
   * For a sign-in, when there is no session to have a token: another site must not sign its visitors in as somebody
   * else. A caller that is no browser says nothing of where it comes from, and may sign in.
   *
   * @throws ForbiddenException `invalid_csrf_token`
   */
  refuseForeign(request: AuthRequest): void {
    const { site, origin } = asking(request);
    const asked = { origin, site: site === 'none' ? undefined : site };
    if (isForeign(asked, this.settings.publicUrl)) throw csrf('Cross-site sign-in requests are rejected.');
  }
}

const asking = (request: AuthRequest): Asking => ({
  site: request.header('Sec-Fetch-Site'),
  origin: request.header('Origin'),
});

const csrf = (detail: string) => new ForbiddenException({ code: 'invalid_csrf_token', detail });
