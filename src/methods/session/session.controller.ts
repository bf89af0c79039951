import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { SessionCsrf } from './session.csrf.js';
import type { Session } from './session.entity.js';
import { SessionService, currentSessionId } from './session.service.js';

/** The public fields of a session. None of them authenticates a request. */
const sessionView = ({ id, createdAt, lastSeenAt, expiresAt, userAgent, ip, scopes, amr }: Session) => ({
  id,
  createdAt,
  lastSeenAt,
  expiresAt,
  userAgent,
  ip,
  scopes,
  amr,
});

@Controller()
@SelfService()
export class SessionController {
  constructor(
    private readonly sessions: SessionService,
    private readonly csrf: SessionCsrf,
  ) {}

  @Get('demo/session')
  @Authenticate('session')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Get('sessions')
  async list(@Caller() caller: Principal) {
    const current = currentSessionId(caller);
    const sessions = await this.sessions.list(caller);
    return {
      items: sessions.map((session) => ({ ...sessionView(session), current: session.id === current })),
    };
  }

  /** Returns the CSRF token again: a page loses it when it reloads. */
  @Get('sessions/csrf')
  @Authenticate('session')
  csrfToken(@Caller() caller: Principal) {
    return { csrf_token: this.csrf.tokenFor(currentSessionId(caller)!) };
  }

  @Delete('sessions/:id')
  @HttpCode(204)
  async revoke(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    await this.sessions.revokeOwn(caller, id);
    if (id === currentSessionId(caller)) this.sessions.clearBrowser(request);
  }

  /** Logs out everywhere. */
  @Delete('sessions')
  @HttpCode(204)
  async revokeAll(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<void> {
    await this.sessions.revokeAll(caller);
    if (currentSessionId(caller)) this.sessions.clearBrowser(request);
  }
}
