import { All, Controller, MethodNotAllowedException, NotFoundException, Req, Res } from '@nestjs/common';
import { ExcludeFromOpenApi } from '../../authentication/describe.js';
import { Consumes, CurrentRequest, Public } from '../../authentication/plan.js';
import { rawExchange } from '../../authentication/on-send.js';
import type { AdapterRequest, AdapterResponse, AuthRequest } from '../../authentication/request.js';
import { SecuritySchemes, type SecuritySchemeMap } from '../../authentication/security-schemes.js';
import { SCOPES } from '../../permissions.js';
import { OidcProviderService } from './oidc-provider.service.js';

/** Clients resolve no relative URLs in a security scheme. OpenAPI requires a description of each scope. */
function securitySchemesAt(publicUrl: string): SecuritySchemeMap {
  const [authorizationUrl, tokenUrl] = [`${publicUrl}/oidc/auth`, `${publicUrl}/oidc/token`];
  const scopes = Object.fromEntries(
    SCOPES.map((scope) => [scope, `Limits the account's permissions to ${scope}.`]),
  );
  return {
    oauth: {
      type: 'oauth2',
      flows: {
        authorizationCode: { authorizationUrl, tokenUrl, refreshUrl: tokenUrl, scopes },
        clientCredentials: { tokenUrl, scopes },
      },
    },
    openIdConnect: {
      type: 'openIdConnect',
      openIdConnectUrl: `${publicUrl}/oidc/.well-known/openid-configuration`,
    },
  };
}

/** Mounts oidc-provider at `/oidc`, and its metadata at the path of RFC 8414. */
@Controller()
@Public()
@ExcludeFromOpenApi()
@SecuritySchemes(securitySchemesAt)
export class OidcProviderController {
  constructor(private readonly oidc: OidcProviderService) {}

  @All(['oidc/:a', 'oidc/:a/:b', 'oidc/:a/:b/:c'])
  @Consumes('form', 'json')
  handle(
    @Req() request: AdapterRequest,
    @Res() response: AdapterResponse,
    @CurrentRequest() authRequest: AuthRequest,
  ): Promise<void> {
    return this.forward(request, response, authRequest, authRequest.target.slice('/oidc'.length));
  }

  /** RFC 8414 section 3.1 puts the well-known part before the issuer's path. */
  @All('.well-known/oauth-authorization-server/oidc')
  metadata(
    @Req() request: AdapterRequest,
    @Res() response: AdapterResponse,
    @CurrentRequest() authRequest: AuthRequest,
  ): Promise<void> {
    return this.forward(request, response, authRequest, '/.well-known/oauth-authorization-server');
  }

  private async forward(
    request: AdapterRequest,
    response: AdapterResponse,
    authRequest: AuthRequest,
    path: string,
  ): Promise<void> {
    const methods = await this.oidc.methodsOf(path.split('?', 1)[0]!);
    if (!methods.length) throw new NotFoundException();
    if (!methods.includes(authRequest.method) || isPlainOptions(authRequest))
      throw Object.assign(new MethodNotAllowedException(), { headers: { Allow: methods.join(', ') } });
    const handle = await this.oidc.handler(authRequest, path);
    // From here on, Nest's filters and interceptors no longer write to the response.
    const raw = rawExchange(request, response);
    await handle(raw.request, raw.response);
  }
}

/** oidc-provider responds 404 in plain text to an OPTIONS request that is not a CORS preflight. */
const isPlainOptions = (request: AuthRequest) =>
  request.method === 'OPTIONS' &&
  !(request.header('Origin') && request.header('Access-Control-Request-Method'));
