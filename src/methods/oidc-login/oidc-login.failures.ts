import {
  BadGatewayException,
  ForbiddenException,
  HttpException,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { BadCredential } from '../../auth/index.js';
import type { Provider } from './oidc-login.config.js';

/** What the person refused, or did not finish (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6). */
const REFUSED =
  /^(?:access_denied|login_required|consent_required|interaction_required|account_selection_required)$/;
const UNAVAILABLE = /^(?:temporarily_unavailable|server_error)$/;

/** What `openid-client` says of an answer or a token that is not as it must be: somebody forged it, or took another's. */
const WRONG =
  /^(?:ERR_INVALID_ARG_VALUE|OAUTH_(?:INVALID_RESPONSE|JWT_CLAIM_COMPARISON_FAILED|JWT_TIMESTAMP_CHECK_FAILED|KEY_SELECTION_FAILED|PARSE_ERROR|UNSUPPORTED_OPERATION))$/;

const logger = new Logger('OidcLogin');

/**
 * What to answer where a provider could not be asked, or its answer is no good. Nothing of its words goes out: whoever holds
 * the link can have written them.
 */
export function refusalOf(error: unknown, { id: provider }: Provider): Error {
  if (error instanceof BadCredential || error instanceof HttpException) return error;
  if (error instanceof AuthorizationResponseError) {
    if (REFUSED.test(error.error)) return refused();
    return UNAVAILABLE.test(error.error) ? unavailable() : failed();
  }
  if (error instanceof ResponseBodyError && error.error === 'invalid_grant')
    return new BadCredential('invalid_identity', 'the provider does not take the code');
  const code = codeOf(error);
  if (WRONG.test(code)) return new BadCredential('invalid_identity', reasonOf(error));
  logger.warn({ event: 'provider failed', provider, code, reason: reasonOf(error) });
  return code === 'OAUTH_TIMEOUT' || isUnreachable(error) ? unavailable() : failed();
}

const codeOf = (error: unknown) => String((error as { code?: unknown } | undefined)?.code ?? '');

/** `fetch` says no more than that. */
const isUnreachable = (error: unknown) => error instanceof TypeError && !codeOf(error);

/** The library's own words: its messages quote nothing that came. */
function reasonOf(error: unknown): string {
  if (error instanceof ClientError && error.cause instanceof Error) return error.cause.message;
  return error instanceof Error ? error.message : 'unknown';
}

const refused = () =>
  new ForbiddenException({
    code: 'sign_in_refused',
    detail: 'The provider signed nobody in: that was refused there, or not finished.',
  });

const failed = () =>
  new BadGatewayException({
    code: 'provider_failed',
    detail: 'The provider cannot be used: it does not answer as it should, or refuses this application.',
  });

const unavailable = () =>
  Object.assign(
    new ServiceUnavailableException({
      code: 'provider_unavailable',
      detail: 'The provider cannot be reached at this moment. Try again later.',
    }),
    { headers: { 'Retry-After': '10' } },
  );
