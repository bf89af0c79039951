import {
  BadGatewayException,
  ForbiddenException,
  HttpException,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { BadCredential } from '../../authentication/challenge.js';
import type { OidcProvider } from './oidc-login.config.js';

/** The error responses for a denied or unfinished sign-in (RFC 6749 section 4.1.2.1; OpenID Connect Core 1.0 section 3.1.2.6). */
const DENIED =
  /^(?:access_denied|login_required|consent_required|interaction_required|account_selection_required)$/;
const UNAVAILABLE = /^(?:temporarily_unavailable|server_error)$/;

/** The `openid-client` error codes for a forged or replayed callback or ID token. */
const INVALID =
  /^(?:ERR_INVALID_ARG_VALUE|OAUTH_(?:INVALID_RESPONSE|JWT_CLAIM_COMPARISON_FAILED|JWT_TIMESTAMP_CHECK_FAILED|KEY_SELECTION_FAILED|PARSE_ERROR|UNSUPPORTED_OPERATION))$/;

/** The user denied or did not finish the sign-in. */
export class ProviderDenied extends ForbiddenException {
  readonly code = 'access_denied';
  readonly reason = 'denied at the provider';
  readonly account = undefined;

  constructor() {
    super({ code: 'access_denied', detail: 'The sign-in at the provider was denied or not finished.' });
  }
}

const logger = new Logger('OidcLogin');

/**
 * Maps an error of the callback to a response. The response never repeats the provider's error text: anyone can put
 * text into a callback URL.
 */
export function callbackError(error: unknown, provider: OidcProvider): Error {
  if (error instanceof BadCredential || error instanceof HttpException) return error;
  if (error instanceof AuthorizationResponseError) {
    if (DENIED.test(error.error)) return new ProviderDenied();
    return UNAVAILABLE.test(error.error) ? providerUnavailable() : providerFailed();
  }
  if (error instanceof ResponseBodyError && error.error === 'invalid_grant')
    return new BadCredential('invalid_identity', 'the provider rejected the code');
  if (INVALID.test(codeOf(error))) return new BadCredential('invalid_identity', reasonOf(error));
  return providerError(error, provider);
}

/** Logs a failure of the provider and maps it to a 502 or 503. */
export function providerError(error: unknown, { id: provider }: OidcProvider): Error {
  logger.warn({ event: 'provider failed', provider, code: codeOf(error), reason: reasonOf(error) });
  return isNetworkError(error) ? providerUnavailable() : providerFailed();
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** The library's own message, which contains nothing from the response; for network errors also their code. */
function reasonOf(error: unknown): string {
  const relevant = error instanceof ClientError && error.cause instanceof Error ? error.cause : error;
  if (!(relevant instanceof Error)) return 'unknown';
  const causeCode = codeOf(relevant.cause);
  return causeCode ? `${relevant.message} (${causeCode})` : relevant.message;
}

/** Recognizes the errors of `fetch`, which the library may have wrapped. */
function isNetworkError(error: unknown): boolean {
  const { name, message, cause } = (error ?? {}) as Partial<Error>;
  if (name === 'TimeoutError' || /^(?:fetch failed|terminated)$/.test(message ?? '')) return true;
  return cause !== undefined && isNetworkError(cause);
}

const providerFailed = () =>
  new BadGatewayException({
    code: 'provider_error',
    detail: 'The provider sent an invalid response, or rejected this application.',
  });

const providerUnavailable = () =>
  Object.assign(
    new ServiceUnavailableException({
      code: 'provider_unavailable',
      detail: 'The provider is unavailable. Try again later.',
    }),
    { headers: { 'Retry-After': '10' } },
  );
