import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthorizationModule, CanGuard } from './authorization/index.js';
import { accessTokensSchema } from './access-tokens/index.js';
import { AuthorizationServerModule, authorizationServerSchema } from './authorization-server/index.js';
import { AuditLog, AuditModule, auditSchema } from './audit/index.js';
import { AuthenticationModule, AuthenticateGuard, type AuthMethod } from './authentication/index.js';
import { ConfigModule, type Settings } from './config/index.js';
import { CryptoModule, cryptoSchema } from './crypto/index.js';
import { DatabaseModule, LastUsed, databaseSchema, type Schema } from './database/index.js';
import { DemoModule } from './demo/index.js';
import { AddressLimitGuard, CredentialLimitGuard, RateLimitsModule } from './rate-limits/index.js';
import { DocumentsModule, documentsSchema } from './documents/index.js';
import * as installed from './methods/index.js';
import { PasswordsModule, passwordsSchema } from './passwords/index.js';
import { HttpModule, MediaTypeGuard } from './http/index.js';
import { policy } from './policy.js';
import { UsersModule, usersSchema } from './users/index.js';

export const INSTALLED_METHODS: readonly AuthMethod[] = Object.values(installed);

/** Every table of the application with these methods. */
export function schemaOf(methods: readonly AuthMethod[]): Schema {
  const own = [
    databaseSchema,
    cryptoSchema,
    auditSchema,
    usersSchema,
    passwordsSchema,
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

/** The only file that knows everything. */
@Module({})
export class AppModule {
  static forRoot(
    settings: Settings,
    methods: readonly AuthMethod[] = INSTALLED_METHODS,
    controllers: readonly Type[] = [],
  ): DynamicModule {
    return {
      module: AppModule,
      controllers: [...controllers],
      imports: [
        ConfigModule.forRoot(settings),
        DatabaseModule.forRoot(settings, schemaOf(methods)),
        CryptoModule,
        AuditModule,
        UsersModule,
        PasswordsModule,
        AuthenticationModule.forRoot(methods, {
          httpsOnly: settings.production,
          audit: AuditLog,
          lastUsed: LastUsed,
        }),
        AuthorizationModule.forRoot(policy),
        HttpModule.forRoot(settings),
        RateLimitsModule,
        DemoModule.forRoot(methods),
        DocumentsModule,
        AuthorizationServerModule,
      ],
      // In this order, in one module: who is calling, then whether they may; each after what is counted of it.
      providers: [
        { provide: APP_GUARD, useExisting: AddressLimitGuard },
        { provide: APP_GUARD, useExisting: MediaTypeGuard },
        { provide: APP_GUARD, useExisting: AuthenticateGuard },
        { provide: APP_GUARD, useExisting: CredentialLimitGuard },
        { provide: APP_GUARD, useExisting: CanGuard },
      ],
    };
  }
}
