import { Module, type DynamicModule } from '@nestjs/common';
import { AbilityFactory } from './ability.factory.js';
import { CanGuard } from './can.guard.js';
import { POLICY, type Policy } from './policy-types.js';

@Module({})
export class AuthorizationModule {
  /** The application adds {@link CanGuard} as an `APP_GUARD`, after the guard that authenticates. */
  static forRoot(policy: Policy): DynamicModule {
    return {
      module: AuthorizationModule,
      global: true,
      providers: [{ provide: POLICY, useValue: policy }, AbilityFactory, CanGuard],
      exports: [AbilityFactory, CanGuard],
    };
  }
}
