import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../access-tokens/access-tokens.module.js';
import { CryptoModule } from '../crypto/crypto.module.js';
import { PasswordsModule } from '../passwords/passwords.module.js';
import { Accounts } from './accounts.js';
import { ClientsDemo } from './clients.demo.js';
import { ClientAdministration } from './client-administration.js';
import { ClientsController } from './clients.controller.js';
import { Clients } from './clients.js';
import { ConsentsController } from './consents.controller.js';
import { Consents } from './consents.js';
import { Decisions } from './decisions.js';
import { EngineController } from './engine.controller.js';
import { Engine } from './engine.js';
import { FormToken } from './form-token.js';
import { InteractionsController } from './interactions.controller.js';
import { grantControllers, grantProviders } from './grants/index.js';
import { Interactions } from './interactions.js';
import { LiveRecords } from './live-records.js';
import { SignIn } from './sign-in.js';
import { SignOuts } from './sign-outs.js';
import { Storage } from './storage.js';
import { ServerSweep } from './server.sweep.js';
import { Watch } from './watch.js';

/** The authorization server. */
@Module({
  imports: [AccessTokensModule, CryptoModule, PasswordsModule],
  controllers: [
    ClientsController,
    ConsentsController,
    EngineController,
    InteractionsController,
    ...grantControllers,
  ],
  providers: [
    Accounts,
    ClientAdministration,
    Clients,
    ClientsDemo,
    Consents,
    Decisions,
    Engine,
    FormToken,
    Interactions,
    LiveRecords,
    ServerSweep,
    SignIn,
    SignOuts,
    Storage,
    ...grantProviders,
    Watch,
  ],
})
export class AuthorizationServerModule {}
