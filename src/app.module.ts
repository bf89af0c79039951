import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountPagesModule } from './accounts/pages/account-pages.module.js';
import { AccountsModule } from './accounts/accounts.module.js';
import { accountsSchema } from './accounts/accounts.migration.js';
import { NoticesService } from './accounts/notices.service.js';
import { AuthorizationModule } from './authorization/authorization.module.js';
import { CanGuard } from './authorization/can.guard.js';
import { accessTokensSchema } from './access-tokens/access-tokens.module.js';
import { AuthorizationServerModule, authorizationServerSchema } from './authorization-server/index.js';
import { AuditLog } from './audit/audit-log.service.js';
import { AuditModule, auditSchema } from './audit/audit.module.js';
import { ClientCertificateModule } from './authentication/client-certificate.js';
import { AuthenticationModule } from './authentication/authentication.module.js';
import { AuthenticateGuard } from './authentication/authenticate.guard.js';
import type { AuthMethod } from './authentication/method.js';
import { ConfigModule } from './config/config.module.js';
import type { Settings } from './config/settings.js';
import { CryptoModule, cryptoSchema } from './crypto/crypto.module.js';
import { DatabaseModule } from './database/database.module.js';
import { DatabaseServicesModule, databaseSchema } from './database/database-services.module.js';
import { DemoDataService } from './database/demo-data.service.js';
import { LastUsed } from './database/last-used.service.js';
import type { Schema } from './database/columns.js';
import { DemoModule } from './demo/demo.module.js';
import { countersSchema } from './rate-limits/counters.migration.js';
import { AddressLimitGuard, CredentialLimitGuard } from './rate-limits/rate-limits.guard.js';
import { RateLimitsModule } from './rate-limits/rate-limits.module.js';
import { DocumentsModule, documentsSchema } from './documents/documents.module.js';
import * as installed from './methods/index.js';
import { PasswordsModule, passwordsSchema } from './passwords/passwords.module.js';
import { HttpModule } from './http/http.module.js';
import { MediaTypeGuard } from './http/media-type.guard.js';
import { MailModule } from './mail/mail.module.js';
import { PagesModule } from './pages/pages.module.js';
import { policy } from './policy.js';
import { PolicyAdministration } from './users/account-administration.service.js';
import { MachineAccountsController } from './users/machine-accounts.controller.js';
import { MachineAccountsService } from './users/machine-accounts.service.js';
import { assertSecretOfDatabase } from './users/secret-of-database.js';
import { SignInModule } from './users/sign-in.module.js';
import { usersSchema } from './users/users.migration.js';
import { UsersDemo } from './users/users.demo.js';

export const INSTALLED_METHODS: readonly AuthMethod[] = Object.values(installed);

/** All entities and migrations of the application with these methods. */
export function schemaOf(methods: readonly AuthMethod[]): Schema {
  const own = [
    databaseSchema,
    cryptoSchema,
    auditSchema,
    usersSchema,
    countersSchema,
    passwordsSchema,
    accountsSchema,
    accessTokensSchema,
    documentsSchema,
    authorizationServerSchema,
  ];
  return {
    entities: [...own.flatMap((each) => each.entities), ...methods.flatMap((each) => each.entities ?? [])],
    migrations: [
      ...own.flatMap((each) => each.migrations),
      ...methods.flatMap((each) => each.migrations ?? []),
    ],
  };
}

/** The only file that imports everything. */
@Module({})
export class AppModule {
  static forRoot(
    settings: Settings,
    methods: readonly AuthMethod[] = INSTALLED_METHODS,
    controllers: readonly Type[] = [],
  ): DynamicModule {
    return {
      module: AppModule,
      controllers: [MachineAccountsController, ...controllers],
      imports: [
        ConfigModule,
        DatabaseModule.forRoot(settings, schemaOf(methods), (dataSource) =>
          assertSecretOfDatabase(dataSource, settings),
        ),
        DatabaseServicesModule,
        CryptoModule,
        AuditModule,
        SignInModule,
        ClientCertificateModule,
        PasswordsModule,
        AccountsModule.forRoot(settings),
        AccountPagesModule,
        AuthenticationModule.forRoot(methods, {
          httpsOnly: settings.production,
          audit: AuditLog,
          lastUsed: LastUsed,
          demo: DemoDataService,
          administration: PolicyAdministration,
          notices: NoticesService,
        }),
        AuthorizationModule.forRoot(policy),
        HttpModule.forRoot(settings),
        PagesModule,
        MailModule.forRoot(settings),
        RateLimitsModule,
        DemoModule.forRoot(methods),
        DocumentsModule,
        AuthorizationServerModule,
      ],
      // Global guards run in this order only if one module provides them all.
      providers: [
        UsersDemo,
        MachineAccountsService,
        { provide: APP_GUARD, useExisting: AddressLimitGuard },
        { provide: APP_GUARD, useExisting: MediaTypeGuard },
        { provide: APP_GUARD, useExisting: AuthenticateGuard },
        { provide: APP_GUARD, useExisting: CredentialLimitGuard },
        { provide: APP_GUARD, useExisting: CanGuard },
      ],
    };
  }
}
