import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccessModule, CanGuard } from './access/index.js';
import { accessTokensSchema } from './access-tokens/index.js';
import { AuditModule, auditSchema } from './audit/index.js';
import { AuthModule, AuthenticateGuard, type AuthMethod } from './auth/index.js';
import { ConfigModule, type Settings } from './config/index.js';
import { CryptoModule, cryptoSchema } from './crypto/index.js';
import { DatabaseModule, databaseSchema, type Schema } from './database/index.js';
import { DocumentsModule, documentsSchema } from './documents/index.js';
import * as installed from './methods/index.js';
import { PasswordsModule, passwordsSchema } from './passwords/index.js';
import { AddressLimit, CredentialLimit, MediaGuard, PlatformModule } from './platform/index.js';
import { policy } from './policy.js';
import { UsersModule, usersSchema } from './users/index.js';

export const METHODS: readonly AuthMethod[] = Object.values(installed);

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
    methods: readonly AuthMethod[] = METHODS,
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
        AuthModule.forRoot(methods, { httpsOnly: settings.production }),
        AccessModule.forRoot(policy),
        PlatformModule.forRoot(settings, methods),
        DocumentsModule,
      ],
      // In this order, in one module: who is calling, then whether they may; each after what is counted of it.
      providers: [
        { provide: APP_GUARD, useExisting: AddressLimit },
        { provide: APP_GUARD, useExisting: MediaGuard },
        { provide: APP_GUARD, useExisting: AuthenticateGuard },
        { provide: APP_GUARD, useExisting: CredentialLimit },
        { provide: APP_GUARD, useExisting: CanGuard },
      ],
    };
  }
}
