import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../../access-tokens/index.js';
import { CryptoModule } from '../../../crypto/index.js';
import { PasswordsModule } from '../../../passwords/index.js';
import { Accounts } from './accounts.js';
import { ClientsDemo } from './clients.demo.js';
import { Clients } from './clients.js';
import { Consents } from './consents.js';
import { EngineController } from './engine.controller.js';
import { Engine } from './engine.js';
import { FormToken } from './form-token.js';
import { InteractionsController } from './interactions.controller.js';
import { Interactions } from './interactions.js';
import { SignIn } from './sign-in.js';
import { Grants } from './grants/grants.js';
import { JwtBearer } from './grants/jwt-bearer.js';
import { TokenExchange } from './grants/token-exchange.js';
import { Storage } from './storage.js';
import { ServerSweep } from './server.sweep.js';

/** The authorization server. */
@Module({
  imports: [AccessTokensModule, CryptoModule, PasswordsModule],
  controllers: [EngineController, InteractionsController],
  providers: [
    Accounts,
    Clients,
    ClientsDemo,
    Consents,
    Engine,
    FormToken,
    Grants,
    Interactions,
    JwtBearer,
    ServerSweep,
    SignIn,
    Storage,
    TokenExchange,
  ],
})
export class ServerModule {}
