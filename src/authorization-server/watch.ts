import { Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { Unauthenticated } from '../authentication/challenge.js';
import { AuditPort } from '../authentication/ports.js';
import { incomingOf } from './exchange.js';

/** The engine's events for a request that it has refused. */
const REFUSED = [
  'grant.error',
  'introspection.error',
  'revocation.error',
  'pushed_authorization_request.error',
  'device_authorization.error',
  'backchannel_authentication.error',
  'userinfo.error',
  'registration_create.error',
  'registration_read.error',
  'registration_update.error',
  'registration_delete.error',
] as const;

/** A code or a refresh token that came a second time: two have it, and one of them has stolen it. */
const REUSED = [
  'authorization code already consumed',
  'refresh token already used',
  'it was used a moment ago',
];

interface EngineError {
  readonly error?: string;
  readonly error_detail?: string;
  readonly statusCode?: number;
}

/** Tells the rest of the application what the engine refuses: it answers by itself, so nobody else sees it. */
@Injectable()
export class Watch {
  private readonly logger = new Logger('OAuth');

  constructor(
    private readonly audit: AuditPort,
    private readonly adapter: HttpAdapterHost,
  ) {}

  over(provider: Provider): void {
    for (const event of REFUSED)
      provider.on(event as 'grant.error', (ctx, error) => this.refused(ctx, error as EngineError));
  }

  private refused(ctx: KoaContextWithOIDC, { error = '', error_detail: detail, statusCode }: EngineError) {
    // An id that was not found is whatever was sent: it is not repeated.
    const client = ctx.oidc.client?.clientId;
    const reason = [detail ?? error, client && `client ${client}`].filter(Boolean).join(', ');
    this.logger.warn({ event: 'refused', code: error, reason, route: ctx.oidc.route });
    if (REUSED.includes(detail ?? ''))
      this.audit.recordInBackground({
        event: 'authn_token_reuse',
        method: 'oauth',
        details: { client, reason: detail },
      });
    if (statusCode !== 401) return;
    const refusal = new Unauthenticated([], error, 'It was refused.', { method: 'oauth', reason });
    const server = this.adapter.httpAdapter.getHttpServer() as { emit(...event: unknown[]): void };
    server.emit('refused', refusal, incomingOf(ctx.req).ip);
  }
}
