import { BadRequestException, Injectable } from '@nestjs/common';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { ReplayStore } from '../../crypto/replay-store.service.js';
import { SecretBox } from '../../crypto/secret-box.js';
import { HostCookie } from '../../users/host-cookie.js';
import { PENDING_AUTHORIZATION_LIFETIME_MS, type PendingAuthorization } from './oidc-login.js';

/** Stores each pending authorization encrypted in a cookie of its browser. There is no table. */
@Injectable()
export class PendingAuthorizations {
  private readonly box: SecretBox;

  constructor(
    private readonly settings: Settings,
    private readonly replayStore: ReplayStore,
  ) {
    this.box = new SecretBox(settings, 'oidc-login');
  }

  save(provider: string, authorization: PendingAuthorization, request: AuthRequest): void {
    const sealed = this.box.seal(JSON.stringify(authorization), provider);
    this.cookieOf(provider).set(sealed, request);
  }

  /**
   * Returns the pending authorization of a callback and ends it, even if the sign-in fails later.
   *
   * @param states all `state` parameters of the callback; there must be one
   * @throws BadRequestException `invalid_state` if this browser has no pending authorization with this state, or it has
   *   expired or was used before
   */
  async consume(
    provider: string,
    [state = '', ...moreStates]: readonly string[],
    request: AuthRequest,
  ): Promise<PendingAuthorization> {
    const cookie = this.cookieOf(provider);
    const authorization = this.open(provider, request.cookies(cookie.name));
    if (!authorization) throw invalidState();
    if (authorization.expires <= Date.now()) throw invalidState();
    if (moreStates.length || !constantTimeEqual(state, authorization.state)) throw invalidState();
    cookie.clear(request);
    const expiry = new Date(authorization.expires);
    if (!(await this.replayStore.use('oidc-login state', authorization.state, expiry))) throw invalidState();
    return authorization;
  }

  private open(provider: string, [sealed, ...others]: readonly string[]): PendingAuthorization | undefined {
    if (sealed === undefined || others.length) return undefined;
    try {
      return JSON.parse(this.box.open(sealed, provider)) as PendingAuthorization;
    } catch {
      return undefined;
    }
  }

  private cookieOf(provider: string): HostCookie {
    const seconds = PENDING_AUTHORIZATION_LIFETIME_MS / 1000;
    return new HostCookie(this.settings.publicUrl, `oidc-${provider}`, seconds);
  }
}

export const invalidState = () =>
  new BadRequestException({
    code: 'invalid_state',
    detail:
      'This browser has no pending sign-in with this state: it expired, was used, or began elsewhere. Start again.',
  });
