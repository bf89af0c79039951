import { Module, type DynamicModule } from '@nestjs/common';
import { AbilityFactory } from './ability.factory.js';
import { POLICY, type Policy } from './rules.js';
import { CanGuard } from './can.guard.js';

@Module({})
export class AuthorizationModule {
  /** The application adds {@link CanGuard} as its second `APP_GUARD`, after the one that says who is calling. */
  static forRoot(policy: Policy): DynamicModule {
    return {
      module: AuthorizationModule,
      global: true,
      providers: [{ provide: POLICY, useValue: policy }, AbilityFactory, CanGuard],
      exports: [AbilityFactory, CanGuard],
    };
  }
}
