import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { AccessTokensModule } from '../access-tokens/access-tokens.module.js';
import { CryptoModule } from '../crypto/crypto.module.js';
import { PasswordsModule } from '../passwords/passwords.module.js';
import { DemoClients } from './authorization-server.demo.js';
import { ClientAdministration } from './clients/client-administration.service.js';
import { ClientsController } from './clients/clients.controller.js';
import { ClientsService } from './clients/clients.service.js';
import { SelfRegistration } from './clients/self-registration.service.js';
import { ConsentPrompt } from './consent/consent-prompt.service.js';
import { ConsentsController } from './consent/consents.controller.js';
import { ConsentsService } from './consent/consents.service.js';
import { InteractionsController } from './consent/interactions.controller.js';
import { CsrfToken, InteractionsService } from './consent/interactions.service.js';
import { PostedRequests } from './consent/posted-requests.service.js';
import { InteractionSignIn } from './consent/interaction-sign-in.service.js';
import { BackchannelAuthenticationController } from './grants/backchannel-authentication.controller.js';
import { BackchannelAuthentication } from './grants/backchannel-authentication.service.js';
import { BackchannelRequests } from './grants/backchannel-requests.service.js';
import { JwtBearerGrant } from './grants/jwt-bearer.service.js';
import { TokenExchangeGrant } from './grants/token-exchange.service.js';
import { OidcProviderFactory } from './provider-factory.service.js';
import { OidcProviderController } from './provider/oidc-provider.controller.js';
import { OidcProviderService, ProviderFactory } from './provider/oidc-provider.service.js';
import { ProviderEvents } from './provider/provider-events.service.js';
import { AdapterFactory } from './storage/adapter-factory.service.js';
import { OauthRecords } from './storage/oauth-records.service.js';
import { UserCodeAttempts } from './storage/polling-adapter.js';
import { authorizationServerConfig } from './authorization-server.config.js';

/** The OAuth 2.0 authorization server and OpenID provider, built on the library oidc-provider. */
@Module({
  imports: [
    ConfigModule.forFeature(authorizationServerConfig),
    AccessTokensModule,
    CryptoModule,
    PasswordsModule,
  ],
  controllers: [
    BackchannelAuthenticationController,
    ClientsController,
    ConsentsController,
    InteractionsController,
    OidcProviderController,
  ],
  providers: [
    { provide: ProviderFactory, useClass: OidcProviderFactory },
    OidcProviderService,
    ProviderEvents,
    AdapterFactory,
    OauthRecords,
    UserCodeAttempts,
    ClientAdministration,
    ClientsService,
    SelfRegistration,
    DemoClients,
    ConsentPrompt,
    ConsentsService,
    CsrfToken,
    InteractionsService,
    PostedRequests,
    InteractionSignIn,
    BackchannelAuthentication,
    BackchannelRequests,
    JwtBearerGrant,
    TokenExchangeGrant,
  ],
})
export class AuthorizationServerModule {}
