import { Controller, Get, Header, Inject } from '@nestjs/common';
import { z } from 'zod';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import type { AuthMethod } from '../authentication/method.js';
import { Describe, Tag } from '../authentication/describe.js';
import { Public } from '../authentication/plan.js';
import { Settings } from '../config/settings.js';
import { AUTHORIZATION_DETAIL_TYPES, SCOPES } from '../permissions.js';

const Metadata = z
  .object({
    resource: z.string(),
    authorization_servers: z.array(z.string()),
    scopes_supported: z.array(z.string()),
    bearer_methods_supported: z.array(z.string()),
    resource_name: z.string(),
    resource_documentation: z.string(),
    tls_client_certificate_bound_access_tokens: z.boolean(),
    authorization_details_types_supported: z.array(z.string()),
    dpop_signing_alg_values_supported: z.array(z.string()).optional(),
  })
  .meta({ id: 'ProtectedResourceMetadata' });

/**
 * Protected resource metadata (RFC 9728). The 401 challenges of `oauth` and `dpop` contain its URL,
 * and it names the authorization server.
 */
@Controller()
@Tag(
  'Authorization server',
  'OAuth clients, consents and back-channel requests. Its protocol endpoints are below `/oidc`.',
)
@Public()
export class ProtectedResourceMetadataController {
  constructor(
    private readonly settings: Settings,
    private readonly authenticator: Authenticator,
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
  ) {}

  @Get('.well-known/oauth-protected-resource')
  @Describe('Read the metadata for OAuth clients (RFC 9728)', { response: Metadata })
  @Header('Cache-Control', 'public, max-age=300')
  readProtectedResourceMetadata() {
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
