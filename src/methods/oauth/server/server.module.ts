import { Module } from '@nestjs/common';
import { AccessTokensModule } from '../../../access-tokens/index.js';
import { CryptoModule } from '../../../crypto/index.js';
import { Accounts } from './accounts.js';
import { ClientsDemo } from './clients.demo.js';
import { Clients } from './clients.js';
import { EngineController } from './engine.controller.js';
import { Engine } from './engine.js';
import { Grants } from './grants/grants.js';
import { JwtBearer } from './grants/jwt-bearer.js';
import { TokenExchange } from './grants/token-exchange.js';
import { Storage } from './storage.js';
import { ServerSweep } from './server.sweep.js';

/** The authorization server. */
@Module({
  imports: [AccessTokensModule, CryptoModule],
  controllers: [EngineController],
  providers: [Accounts, Clients, ClientsDemo, Engine, Grants, JwtBearer, ServerSweep, Storage, TokenExchange],
})
export class ServerModule {}
