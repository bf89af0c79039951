import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { Authenticate, Caller, CurrentRequest, SelfService } from '../../authentication/plan.js';
import type { AuthRequest } from '../../authentication/request.js';
import type { Principal } from '../../authentication/principal.js';
import { SessionCsrf } from './session.csrf.js';
import type { Session } from './session.entity.js';
import { SessionIssuer } from './session.issuer.js';
import { Sessions } from './session.service.js';

/** What may be told of a session: nothing that it could be used with. */
const view = ({ id, createdAt, lastSeenAt, expiresAt, userAgent, ip, scopes, amr }: Session) => ({
  id,
  createdAt,
  lastSeenAt,
  expiresAt,
  userAgent,
  ip,
  scopes,
  amr,
});

const sessionOf = ({ proofs }: Principal) => proofs.find(({ method }) => method === 'session')?.credentialId;

@Controller()
@SelfService()
export class SessionController {
  constructor(
    private readonly sessions: Sessions,
    private readonly issuer: SessionIssuer,
    private readonly csrf: SessionCsrf,
  ) {}

  @Get('demo/session')
  @Authenticate('session')
  demo(@Caller() caller: Principal): Principal {
    return caller;
  }

  @Get('sessions')
  async list(@Caller() caller: Principal) {
    const current = sessionOf(caller);
    const sessions = await this.sessions.list(caller);
    return { items: sessions.map((session) => ({ ...view(session), current: session.id === current })) };
  }

  /** The session's token once more: a page that was loaded anew has lost it. */
  @Get('sessions/csrf')
  @Authenticate('session')
  token(@Caller() caller: Principal) {
    return { csrf_token: this.csrf.tokenFor(sessionOf(caller)!) };
  }

  @Delete('sessions/:id')
  @HttpCode(204)
  async end(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @CurrentRequest() request: AuthRequest,
  ): Promise<void> {
    await this.sessions.end(caller, id);
    if (id === sessionOf(caller)) this.issuer.forget(request);
  }

  /** Logs out everywhere. */
  @Delete('sessions')
  @HttpCode(204)
  async endAll(@Caller() caller: Principal, @CurrentRequest() request: AuthRequest): Promise<void> {
    await this.sessions.endAll(caller);
    if (sessionOf(caller)) this.issuer.forget(request);
  }
}
