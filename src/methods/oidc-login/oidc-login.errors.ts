import {
  BadGatewayException,
  ForbiddenException,
  HttpException,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { BadCredential } from '../../authentication/challenge.js';
import type { Provider } from './oidc-login.config.js';

/** What the person refused, or did not finish (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6). */
const REFUSED =
  /^(?:access_denied|login_required|consent_required|interaction_required|account_selection_required)$/;
const UNAVAILABLE = /^(?:temporarily_unavailable|server_error)$/;

/** What `openid-client` says of an answer or a token that is not as it must be: somebody forged it, or took another's. */
const WRONG =
  /^(?:ERR_INVALID_ARG_VALUE|OAUTH_(?:INVALID_RESPONSE|JWT_CLAIM_COMPARISON_FAILED|JWT_TIMESTAMP_CHECK_FAILED|KEY_SELECTION_FAILED|PARSE_ERROR|UNSUPPORTED_OPERATION))$/;

/** The person said no, or gave up. */
export class RefusedThere extends ForbiddenException {
  readonly code = 'access_denied';
  readonly reason = 'the provider signed nobody in';
  readonly account = undefined;

  constructor() {
    super({
      code: 'access_denied',
      detail: 'The provider signed nobody in: that was refused there, or not finished.',
    });
  }
}

const logger = new Logger('OidcLogin');

/**
 * What to answer to the end of a sign-in that went wrong. Nothing of the provider's words goes out: whoever holds the link can
 * have written them.
 */
export function refusalOf(error: unknown, provider: Provider): Error {
  if (error instanceof BadCredential || error instanceof HttpException) return error;
  if (error instanceof AuthorizationResponseError) {
    if (REFUSED.test(error.error)) return new RefusedThere();
    return UNAVAILABLE.test(error.error) ? unavailable() : failed();
  }
  if (error instanceof ResponseBodyError && error.error === 'invalid_grant')
    return new BadCredential('invalid_identity', 'the provider does not take the code');
  if (WRONG.test(codeOf(error))) return new BadCredential('invalid_identity', reasonOf(error));
  return failureOf(error, provider);
}

/** What to answer where a provider cannot be asked, or does not answer as a provider does. */
export function failureOf(error: unknown, { id: provider }: Provider): Error {
  logger.warn({ event: 'provider failed', provider, code: codeOf(error), reason: reasonOf(error) });
  return isUnreachable(error) ? unavailable() : failed();
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** The library's own words, whose messages quote nothing that came; of the network, its code as well. */
function reasonOf(error: unknown): string {
  const shown = error instanceof ClientError && error.cause instanceof Error ? error.cause : error;
  if (!(shown instanceof Error)) return 'unknown';
  const below = codeOf(shown.cause);
  return below ? `${shown.message} (${below})` : shown.message;
}

/** In the words of `fetch`, which the library may have wrapped. */
function isUnreachable(error: unknown): boolean {
  const { name, message, cause } = (error ?? {}) as Partial<Error>;
  if (name === 'TimeoutError' || /^(?:fetch failed|terminated)$/.test(message ?? '')) return true;
  return cause !== undefined && isUnreachable(cause);
}

const failed = () =>
  new BadGatewayException({
    code: 'provider_error',
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
