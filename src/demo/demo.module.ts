import { Module, type DynamicModule } from '@nestjs/common';
import type { AuthMethod } from '../authentication/method.js';
import { combinedControllers } from './combined.controller.js';
import { HomeController } from './home.controller.js';
import { MeController } from './me.controller.js';

/** `/`, `/me`, `/methods` and the routes that combine several methods. */
@Module({})
export class DemoModule {
  static forRoot(methods: readonly AuthMethod[]): DynamicModule {
    return {
      module: DemoModule,
      controllers: [HomeController, MeController, ...combinedControllers(methods)],
    };
  }
}
