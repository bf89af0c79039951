import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { z } from 'zod';
import { Describe, MANAGE_ERRORS, PrincipalView, listOf } from '../../authentication/describe.js';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { SessionCsrf } from './session.csrf.js';
import { SessionService, currentSessionId } from './session.service.js';

/** The public fields of a session. None of them authenticates a request. */
const SessionView = z
  .object({
    id: z.string(),
    createdAt: z.date(),
    lastSeenAt: z.date(),
    expiresAt: z.date(),
    userAgent: z.string().nullable(),
    ip: z.string(),
    scopes: z.array(z.string()).nullable(),
    amr: z.array(z.string()),
    current: z.boolean(),
  })
  .meta({ id: 'Session' });

@Controller()
@SelfService()
export class SessionController {
  constructor(
    private readonly sessions: SessionService,
    private readonly csrf: SessionCsrf,
  ) {}

  @Get('demo/session')
  @Describe('Show the caller, by session', { response: PrincipalView })
  @Authenticate('session')
  showSessionCaller(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Get('sessions')
  @Describe('List sessions', { response: listOf(SessionView), errors: MANAGE_ERRORS })
  async listSessions(@Caller() caller: Principal) {
    const current = currentSessionId(caller);
    const sessions = await this.sessions.list(caller);
    return {
      items: sessions.map((session) => SessionView.parse({ ...session, current: session.id === current })),
    };
  }

  /** Returns the CSRF token again: a page loses it when it reloads. */
  @Get('sessions/csrf')
  @Describe('Read the CSRF token of the session', { response: z.object({ csrf_token: z.string() }) })
  @Authenticate('session')
  readCsrfToken(@Caller() caller: Principal) {
    return { csrf_token: this.csrf.tokenFor(currentSessionId(caller)!) };
  }

  @Delete('sessions/:id')
  @Describe('End a session', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  async revokeSession(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    await this.sessions.revokeOwn(caller, id);
    if (id === currentSessionId(caller)) this.sessions.clearBrowser(request);
  }

  /** Logs out everywhere. */
  @Delete('sessions')
  @Describe('Log out everywhere', { errors: MANAGE_ERRORS })
  @HttpCode(204)
  async revokeSessions(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<void> {
    await this.sessions.revokeAll(caller);
    if (currentSessionId(caller)) this.sessions.clearBrowser(request);
  }
}
