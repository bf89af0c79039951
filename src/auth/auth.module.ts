import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, DiscoveryModule } from '@nestjs/core';
import { AuthenticateGuard } from './authenticate.guard.js';
import { Authenticator, HTTPS_ONLY, METHODS } from './authenticator.js';
import { ChallengeFilter } from './challenge.filter.js';
import { Issuers } from './issuers.js';
import type { AuthMethod } from './method.js';

@Module({})
export class AuthModule {
  /**
   * Installs methods. The application adds {@link AuthenticateGuard} as its first `APP_GUARD`.
   * @param httpsOnly whether what reveals itself on the wire is refused over plain HTTP: in production
   * @throws Error where a ceremony has nothing to end in
   */
  static forRoot(methods: readonly AuthMethod[], { httpsOnly = false } = {}): DynamicModule {
    const ceremonies = methods.filter((method) => !method.strategy).map((method) => method.name);
    if (ceremonies.length && !methods.some((method) => method.issuer))
      throw new Error(
        `${ceremonies.join(', ')} ends in an issuer, and none is installed: install one (session, jwt), or remove it.`,
      );
    return {
      module: AuthModule,
      global: true,
      imports: [DiscoveryModule, ...methods.map((method) => method.module)],
      providers: [
        { provide: METHODS, useValue: methods },
        { provide: HTTPS_ONLY, useValue: httpsOnly },
        { provide: APP_FILTER, useClass: ChallengeFilter },
        Authenticator,
        Issuers,
        AuthenticateGuard,
      ],
      exports: [METHODS, Authenticator, AuthenticateGuard, Issuers],
    };
  }
}
