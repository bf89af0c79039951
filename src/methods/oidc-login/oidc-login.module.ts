import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { BackChannelLogout } from './oidc-login.backchannel-logout.service.js';
import { AuthorizationCodeFlow } from './oidc-login.code-flow.service.js';
import { OidcLoginController } from './oidc-login.controller.js';
import { LinkedIdentitiesController } from './oidc-login.linked-identities.controller.js';
import { LinkedIdentities } from './oidc-login.linked-identities.service.js';
import { PendingAuthorizations } from './oidc-login.pending-authorizations.service.js';
import { OidcProviders } from './oidc-login.providers.service.js';
import { OidcLoginService } from './oidc-login.service.js';
import { oidcLoginConfig } from './oidc-login.config.js';

@Module({
  imports: [ConfigModule.forFeature(oidcLoginConfig), CryptoModule],
  controllers: [OidcLoginController, LinkedIdentitiesController],
  providers: [
    AuthorizationCodeFlow,
    BackChannelLogout,
    LinkedIdentities,
    OidcLoginService,
    OidcProviders,
    PendingAuthorizations,
  ],
})
export class OidcLoginModule {}
