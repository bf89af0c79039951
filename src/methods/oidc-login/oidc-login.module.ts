import { Module } from '@nestjs/common';
import { CryptoModule } from '../../crypto/crypto.module.js';
import { OidcCeremony } from './oidc-login.service.js';
import { OidcLoginController } from './oidc-login.controller.js';
import { Exchange } from './oidc-login.exchange.js';
import { OidcIdentitiesController } from './oidc-login.identities.controller.js';
import { Identities } from './oidc-login.identities.js';
import { ProviderLogout } from './oidc-login.logout.js';
import { Providers } from './oidc-login.providers.js';
import { Transactions } from './oidc-login.transactions.js';

@Module({
  imports: [CryptoModule],
  controllers: [OidcLoginController, OidcIdentitiesController],
  providers: [Providers, Exchange, Transactions, Identities, OidcCeremony, ProviderLogout],
})
export class OidcLoginModule {}
