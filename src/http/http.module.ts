import { Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import type { Settings } from '../config/settings.js';
import { DescribedRoutes } from './described-routes.service.js';
import { HealthController } from './health.controller.js';
import { MediaTypeGuard } from './media-type.guard.js';
import { openApiController } from './openapi.controller.js';
import { OpenApiService } from './openapi.service.js';
import { ProblemModule } from './problem.module.js';

/** Health checks, the OpenAPI document, the guard of request bodies and the responses to exceptions. */
@Module({})
export class HttpModule {
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: HttpModule,
      imports: [DiscoveryModule, ProblemModule, TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController, openApiController(settings.production)],
      providers: [DescribedRoutes, OpenApiService, MediaTypeGuard],
      exports: [MediaTypeGuard],
    };
  }
}
