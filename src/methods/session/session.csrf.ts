import { ForbiddenException, Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import type { AuthRequest } from '../../authentication/request.js';
import { Settings } from '../../config/settings.js';
import { constantTimeEqual } from '../../crypto/constant-time.js';
import { deriveKey } from '../../crypto/derived-keys.js';
import { csrfToken } from './session.js';

const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i;

/** Rejects requests that another site makes a browser send (cross-site request forgery). */
@Injectable()
export class SessionCsrf {
  private readonly key: KeyObject;

  constructor(private readonly settings: Settings) {
    this.key = deriveKey(settings.appSecret, 'session/csrf');
  }

  /** The token of a session. It stays the same for the whole session. */
  tokenFor(sessionId: string): string {
    return csrfToken(this.key, sessionId);
  }

  /**
   * Checks a request that changes data in a session.
   * @throws ForbiddenException `invalid_csrf_token`
   */
  checkWrite(request: AuthRequest, sessionId: string): void {
    const { site, origin } = browserHeaders(request);
    if (site === undefined && origin === undefined)
      throw invalidCsrfToken('Send Sec-Fetch-Site or Origin, as a browser does.');
    if (site !== undefined && site !== 'same-origin')
      throw invalidCsrfToken('Sec-Fetch-Site must be same-origin.');
    if (origin !== undefined && !this.settings.isOwnOrigin(origin))
      throw invalidCsrfToken('Origin must be the origin of this server.');
    if (!constantTimeEqual(sentToken(request) ?? '', this.tokenFor(sessionId)))
      throw invalidCsrfToken('X-CSRF-Token, or csrf_token in a form, must hold the token of this session.');
  }

  /**
   * Checks a sign-in, when no session with a token exists yet: another site must not sign its visitors in to the
   * attacker's account (login CSRF). A client that is not a browser sends neither header and passes.
   *
   * @throws ForbiddenException `invalid_csrf_token`
   */
  checkSignIn(request: AuthRequest): void {
    const { site = 'none', origin } = browserHeaders(request);
    if (
      !['none', 'same-origin'].includes(site) ||
      (origin !== undefined && !this.settings.isOwnOrigin(origin))
    )
      throw invalidCsrfToken('Cross-site sign-in requests are rejected.');
  }
}

/** The token in the header, or in a form, because a form cannot set a header. */
function sentToken(request: AuthRequest): string | undefined {
  const header = request.header('X-CSRF-Token');
  if (header !== undefined || !FORM.test(request.header('Content-Type') ?? '')) return header;
  const [token, ...others] = new URLSearchParams(request.rawBody?.toString('utf8')).getAll('csrf_token');
  return others.length ? undefined : token;
}

/** A browser sets both headers itself; a page cannot change them. */
const browserHeaders = (request: AuthRequest) => ({
  site: request.header('Sec-Fetch-Site'),
  origin: request.header('Origin'),
});

const invalidCsrfToken = (detail: string) => new ForbiddenException({ code: 'invalid_csrf_token', detail });
