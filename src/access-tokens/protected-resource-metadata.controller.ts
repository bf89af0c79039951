import { Controller, Get, Header, Inject } from '@nestjs/common';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import type { AuthMethod } from '../authentication/method.js';
import { Public } from '../authentication/plan.js';
import { Settings } from '../config/settings.js';
import { AUTHORIZATION_DETAIL_TYPES, SCOPES } from '../permissions.js';

/**
 * Protected resource metadata (RFC 9728). The 401 challenges of `oauth` and `dpop` contain its URL,
 * and it names the authorization server.
 */
@Controller()
@Public()
export class ProtectedResourceMetadataController {
  constructor(
    private readonly settings: Settings,
    private readonly authenticator: Authenticator,
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
  ) {}

  @Get('.well-known/oauth-protected-resource')
  @Header('Cache-Control', 'public, max-age=300')
  metadata() {
    const { publicUrl } = this.settings;
    const dpop = this.methods
      .filter(({ strategy }) => strategy)
      .map(({ name }) => this.authenticator.challengeOf(name))
      .find(({ scheme }) => scheme === 'DPoP');
    return {
      resource: publicUrl,
      authorization_servers: [`${publicUrl}/oidc`],
      scopes_supported: SCOPES,
      bearer_methods_supported: ['header'],
      resource_name: 'Auth Atlas',
      resource_documentation: `${publicUrl}/openapi`,
      tls_client_certificate_bound_access_tokens: true,
      authorization_details_types_supported: AUTHORIZATION_DETAIL_TYPES,
      ...(dpop && { dpop_signing_alg_values_supported: dpop.params['algs']?.split(' ') }),
    };
  }
}
