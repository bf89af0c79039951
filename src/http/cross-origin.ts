import type { IncomingMessage } from 'node:http';
import { headerLines } from '../authentication/request.js';
import type { AllowedMethodsService } from './allowed-methods.service.js';
import type { HttpResponse } from './response.js';

/** The request headers of this API that a page must not send without a preflight. `X-CSRF-Token` belongs to the session. */
const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'If-Match',
  'If-None-Match',
  'DPoP',
  'X-API-Key',
  'X-Amz-Date',
  'Content-Digest',
  'Signature',
  'Signature-Input',
  'Accept-Signature',
].join(', ');

/** The response headers of this API that a page could not read otherwise. */
const EXPOSED_HEADERS = [
  'Allow',
  'Authentication-Info',
  'Content-Digest',
  'DPoP-Nonce',
  'ETag',
  'Link',
  'Location',
  'Retry-After',
  'Signature',
  'Signature-Input',
  'WWW-Authenticate',
  'X-Request-Id',
].join(', ');

const PREFLIGHT_MAX_AGE_SECONDS = 600;

/**
 * Cross-origin resource sharing (Fetch section 3.3) for the origins in `CORS_ORIGINS`. There is no
 * `Access-Control-Allow-Credentials`, and the cookies of such a request are dropped, because browsers send them to hosts of the
 * same site. So no session authenticates another origin's page.
 *
 * Written here because `@fastify/cors` and `cors` differ in preflights and `Vary`, and see no request that is rejected
 * before routing. Tests: test/http/cross-origin.e2e-spec.ts.
 */
export class CrossOriginSharing {
  constructor(
    private readonly origins: ReadonlySet<string>,
    private readonly allowedMethods: () => AllowedMethodsService,
  ) {}

  /**
   * Adds the headers to a response.
   * @returns true for a preflight, whose response is complete with them
   */
  share(request: IncomingMessage, response: HttpResponse): boolean {
    if (!this.origins.size) return false;
    const [path = ''] = (request.url ?? '').split('?', 1);
    if (this.allowedMethods().answersPreflights(path)) return false;
    response.variesByOrigin = true;
    const [origin = '', ...others] = headerLines(request, 'origin');
    if (others.length || !this.origins.has(origin)) return false;
    delete request.headers.cookie;
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    if (request.method !== 'OPTIONS' || !request.headers['access-control-request-method']) return false;
    response.removeHeader('Access-Control-Expose-Headers');
    const methods = this.allowedMethods().of(path);
    if (methods.length) response.setHeader('Access-Control-Allow-Methods', methods.join(', '));
    response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS);
    response.setHeader('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_SECONDS);
    return true;
  }
}
