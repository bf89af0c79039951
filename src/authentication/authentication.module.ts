import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { APP_FILTER, DiscoveryModule } from '@nestjs/core';
import { AuthenticateGuard } from './authenticate.guard.js';
import { Authenticator, HTTPS_ONLY, AUTH_METHODS } from './authenticator.js';
import { ChallengeFilter } from './challenge.js';
import type { AuthMethod } from './method.js';
import {
  AccountAdministration,
  AuditPort,
  DemoPort,
  LastUsedPort,
  NoAdministration,
  NoAudit,
  NoDemo,
  NoLastUsed,
  NoNotices,
  NoticePort,
  RejectedRequests,
} from './ports.js';

/** Each port is a provider of the application. Absent: it does nothing. */
export interface AuthenticationOptions {
  /** Rejects secrets sent over plain HTTP: true in production. */
  readonly httpsOnly?: boolean;
  readonly audit?: Type<AuditPort>;
  readonly lastUsed?: Type<LastUsedPort>;
  readonly demo?: Type<DemoPort>;
  readonly administration?: Type<AccountAdministration>;
  readonly notices?: Type<NoticePort>;
}

@Module({})
export class AuthenticationModule {
  /**
   * Installs methods. The application adds {@link AuthenticateGuard} as its first `APP_GUARD`.
   * @throws Error if a ceremony is installed without an issuer
   */
  static forRoot(
    methods: readonly AuthMethod[],
    {
      httpsOnly = false,
      audit,
      lastUsed,
      demo,
      administration = NoAdministration,
      notices,
    }: AuthenticationOptions = {},
  ): DynamicModule {
    const ceremonies = methods.filter((method) => !method.strategy).map((method) => method.name);
    if (ceremonies.length && !methods.some((method) => method.issuer))
      throw new Error(
        `${ceremonies.join(', ')} ends in an issuer, and none is installed: install one (session, jwt), or remove it.`,
      );
    return {
      module: AuthenticationModule,
      global: true,
      imports: [DiscoveryModule, ...methods.map((method) => method.module)],
      providers: [
        { provide: AUTH_METHODS, useValue: methods },
        { provide: HTTPS_ONLY, useValue: httpsOnly },
        audit ? { provide: AuditPort, useExisting: audit } : { provide: AuditPort, useClass: NoAudit },
        lastUsed
          ? { provide: LastUsedPort, useExisting: lastUsed }
          : { provide: LastUsedPort, useClass: NoLastUsed },
        demo ? { provide: DemoPort, useExisting: demo } : { provide: DemoPort, useClass: NoDemo },
        { provide: AccountAdministration, useClass: administration },
        notices
          ? { provide: NoticePort, useExisting: notices }
          : { provide: NoticePort, useClass: NoNotices },
        { provide: APP_FILTER, useClass: ChallengeFilter },
        Authenticator,
        AuthenticateGuard,
        RejectedRequests,
      ],
      exports: [
        AUTH_METHODS,
        AccountAdministration,
        AuditPort,
        LastUsedPort,
        NoticePort,
        DemoPort,
        Authenticator,
        AuthenticateGuard,
        RejectedRequests,
      ],
    };
  }
}
