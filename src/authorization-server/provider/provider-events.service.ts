import { Injectable, Logger, ServiceUnavailableException } from '@nestjs/common';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { Unauthenticated } from '../../authentication/challenge.js';
import type { MethodName } from '../../authentication/principal.js';
import { AuditPort, RejectedRequests } from '../../authentication/ports.js';
import { isDatabaseUnavailable } from '../../database/database-errors.js';
import { User } from '../../users/user.entity.js';
import { authRequestOfKoa } from './provider-request.js';

/** oidc-provider's events for a rejected request. */
const ERROR_EVENTS = [
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

/** The `error_detail` of a one-time code or refresh token that two requests used at the same time. */
export const CONCURRENT_USE = 'code or token used concurrently';

/** The `error_detail` values for a second use of a code or refresh token: one of the two clients has stolen it. */
const REUSE_DETAILS = ['authorization code already consumed', 'refresh token already used', CONCURRENT_USE];

/** The `error_detail` of a client assertion for another audience. */
export const WRONG_AUDIENCE = 'the audience (aud) of the client assertion is not accepted';

const GRANT_TYPE_NOT_ALLOWED = /^(requested grant type|urn:\S+) is not allowed for this client$/;

interface ProviderError {
  readonly error?: string;
  readonly error_description?: string;
  readonly error_detail?: string;
  readonly statusCode?: number;
}

/** Logs and audits the requests that oidc-provider rejects and the sign-outs that it performs. */
@Injectable()
export class ProviderEvents {
  private readonly logger = new Logger('OAuth');

  constructor(
    private readonly audit: AuditPort,
    private readonly dataSource: DataSource,
    private readonly rejectedRequests: RejectedRequests,
  ) {}

  /** Adds the listeners to a new provider. */
  listen(provider: Provider): void {
    for (const event of ERROR_EVENTS)
      provider.on(event as 'grant.error', (ctx, error) => {
        useRfcErrorCode(ctx, error);
        nameFailedCheck(ctx, error);
        this.rejected(ctx, error);
      });
    provider.on('backchannel.error', (_ctx, error, { clientId }) =>
      this.logger.warn({ event: 'back-channel logout failed', clientId, error: error.message }),
    );
    provider.on('server_error', (ctx, error) => {
      this.logger.error(error);
      if (ctx.status === 500 && isUnavailable(error)) reportUnavailable(ctx);
    });
    // Koa writes errors to the console unless there is a listener.
    provider.on('error' as 'server_error', (error: unknown) => this.logger.error(error));
    provider.use(async (ctx, next) => {
      try {
        await next();
      } catch (error) {
        // The pages store their session after oidc-provider's own handler of errors.
        if (!isUnavailable(error)) throw error;
        this.logger.error(error);
        reportUnavailable(ctx as KoaContextWithOIDC);
        ctx.body = UNAVAILABLE;
        return;
      }
      const { oidc } = ctx as KoaContextWithOIDC;
      if (oidc?.route === 'end_session_confirm' && ctx.status === 303) await this.signedOut(oidc);
    });
  }

  private rejected(ctx: KoaContextWithOIDC, { error = '', error_detail: detail, statusCode }: ProviderError) {
    // An unknown client_id is not logged: it is text that the caller typed.
    const client = ctx.oidc.client?.clientId;
    const reason = [detail ?? error, client && `client ${client}`].filter(Boolean).join(', ');
    this.logger.warn({ event: 'request rejected', code: error, reason, route: ctx.oidc.route });
    if (REUSE_DETAILS.includes(detail ?? ''))
      this.audit.recordInBackground({
        event: 'authn_token_reuse',
        method: 'oauth',
        details: { client, reason: detail },
      });
    if (statusCode !== 401) return;
    // A cast, because the folder of the method `oauth` can be removed without this server.
    const method = 'oauth' as MethodName;
    const rejection = new Unauthenticated([], error, 'Authentication failed.', { method, reason });
    this.rejectedRequests.notify(authRequestOfKoa(ctx).ip, rejection);
  }

  private async signedOut({ session, params, client }: KoaContextWithOIDC['oidc']): Promise<void> {
    const actor = await this.dataSource.manager.findOneBy(User, { id: session?.accountId ?? '' });
    if (!actor) return;
    await this.audit.record({
      event: 'authn_token_revoked',
      actor,
      method: 'oauth',
      target: params?.['logout'] ? `user:${actor.id}` : `oauth-client:${client?.clientId}`,
    });
  }
}

/** The code is that of RFC 6749 section 4.1.2.1. */
const UNAVAILABLE = {
  error: 'temporarily_unavailable',
  error_description: 'the service is unavailable',
};

const isUnavailable = (error: unknown): boolean =>
  isDatabaseUnavailable(error) || error instanceof ServiceUnavailableException;

/** Replaces oidc-provider's 500. The page of an error is rendered later. */
function reportUnavailable(ctx: KoaContextWithOIDC): void {
  ctx.status = 503;
  ctx.set('Retry-After', '1');
  const body = ctx.body as { error?: string } | undefined;
  if (body?.error === 'server_error') ctx.body = UNAVAILABLE;
}

/** A grant type that the client is not registered for is `unauthorized_client` (RFC 6749 section 5.2), not `invalid_request`. */
function useRfcErrorCode(ctx: KoaContextWithOIDC, { error_description }: ProviderError): void {
  if (GRANT_TYPE_NOT_ALLOWED.test(error_description ?? ''))
    ctx.body = { error: 'unauthorized_client', error_description } satisfies object;
}

/**
 * The checks that a response may name, by oidc-provider's `error_detail`: each concerns only data of the caller, and a code
 * or token is compared after it was found to be the caller's own. The others stay generic (`client not found`, `invalid
 * secret provided`, `client mismatch`, `refresh token already used`), because they tell a guess from a hit.
 */
const CHECKS = new Map([
  ['alg mismatch', 'the algorithm (alg) of the client assertion is not accepted'],
  ['audience (aud) must equal the endpoint url, issuer identifier or token endpoint url', WRONG_AUDIENCE],
  [
    'list of audience (aud) must include the endpoint url, issuer identifier or token endpoint url',
    WRONG_AUDIENCE,
  ],
  ['failed jkt verification', 'the DPoP proof has another key than the code or token'],
  ['failed x5t#S256 verification', 'the client certificate is not that of the code or token'],
  [
    'no applicable key found in the JSON Web Key Set',
    'the client has no key with the kid and alg of the JWT',
  ],
  ['signature verification failed', 'the signature of the JWT is invalid'],
  ...[
    WRONG_AUDIENCE,
    'the assertion is valid for too long',
    'aud (JWT audience) must be provided in the client_assertion JWT',
    'client assertion tokens must only be used once',
    'expiration must be specified in the client_assertion JWT',
    'iss (JWT issuer) must be provided in the client_assertion JWT',
    'iss (JWT issuer) must be the client_id',
    'sub (JWT subject) must be provided in the client_assertion JWT',
    'unique jti (JWT ID) must be provided in the client_assertion JWT',
    'jwt expired',
    'jwt issued in the future',
    'jwt issuer invalid',
    'jwt not active yet',
    'client certificate was not provided',
    'mutual TLS client certificate not provided',
    'missing DPoP proof JWT',
    'DPoP proof JWT Replay detected',
    'DPoP proof key thumbprint does not match dpop_jkt',
    'authorization code is expired',
    'authorization code redirect_uri mismatch',
    'refresh token is expired',
    'code_verifier does not match code_challenge',
    'code_verifier must be provided',
  ].map((check) => [check, check] as const),
]);

/** The general descriptions, which the name of the check replaces. It is added to any other. */
const GENERAL = ['client authentication failed', 'grant request is invalid'];

/** Adds the failed check to the `error_description` of a JSON response, so that a developer can correct the request. */
function nameFailedCheck(ctx: KoaContextWithOIDC, { error, error_detail: detail = '' }: ProviderError): void {
  const body = ctx.body as { error_description?: string } | string | undefined;
  if (typeof body !== 'object' || body.error_description === undefined) return;
  // The signature of a partner's assertion (RFC 7523) is checked only if its issuer is trusted, which stays secret.
  if (error === 'invalid_grant' && detail === 'signature verification failed') return;
  const { error_description: general } = body;
  // A proof is data of the caller. RFC 6749 section 5.2 allows no quotation marks.
  const isProof = error === 'invalid_dpop_proof' && detail !== general;
  const check = CHECKS.get(detail) ?? (isProof ? detail.replaceAll('"', "'") : '');
  if (!check) return;
  ctx.body = {
    ...body,
    error_description: GENERAL.includes(general) ? check : `${general}: ${check}`,
  } satisfies object;
}
