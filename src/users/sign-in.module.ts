import { Global, Module } from '@nestjs/common';
import { IssuerRegistry } from '../authentication/issuer-registry.js';
import { ReplayStoreModule } from '../crypto/replay-store.module.js';
import { AccountFactors } from './account-factors.service.js';
import { FactorAttempts } from './factor-attempts.service.js';
import { FactorsController, SecondStepController } from './factors.controller.js';
import { LogoutController } from './logout.controller.js';
import { LogoutService } from './logout.service.js';
import { MfaTickets } from './mfa-tickets.service.js';
import { SecondFactorService } from './second-factor.service.js';
import { SignInService } from './sign-in.service.js';

/** For applications in which people sign in: the issuers, second factors and step-ups, and the end of a session or a token. */
@Global()
@Module({
  imports: [ReplayStoreModule],
  controllers: [LogoutController, SecondStepController, FactorsController],
  providers: [
    IssuerRegistry,
    AccountFactors,
    FactorAttempts,
    LogoutService,
    MfaTickets,
    SecondFactorService,
    SignInService,
  ],
  exports: [IssuerRegistry, AccountFactors, LogoutService, MfaTickets, SecondFactorService, SignInService],
})
export class SignInModule {}
