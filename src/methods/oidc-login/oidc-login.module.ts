import { Module } from '@nestjs/common';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { OidcCeremony } from './oidc-login.service.js';
import { OidcLoginController } from './oidc-login.controller.js';
import { Exchange } from './oidc-login.code-flow.service.js';
import { OidcIdentitiesController } from './oidc-login.linked-identities.controller.js';
import { Identities } from './oidc-login.linked-identities.service.js';
import { ProviderLogout } from './oidc-login.backchannel-logout.service.js';
import { Providers } from './oidc-login.providers.service.js';
import { Transactions } from './oidc-login.pending-authorizations.service.js';

@Module({
  imports: [CryptoModule],
  controllers: [OidcLoginController, OidcIdentitiesController],
  providers: [Providers, Exchange, Transactions, Identities, OidcCeremony, ProviderLogout],
})
export class OidcLoginModule {}
