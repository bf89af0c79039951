import { Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import type { AuthMethod } from '../auth/index.js';
import type { Settings } from '../config/index.js';
import { AuditController } from './audit.controller.js';
import { combinedControllers } from './combined.controller.js';
import { HealthController } from './health.controller.js';
import { MeController } from './me.controller.js';
import { MediaGuard } from './media.guard.js';
import { openApiController } from './openapi.controller.js';
import { OpenApi } from './openapi.js';
import { RefusalEvents } from './refusal-events.js';
import { Failures } from './rate-limit.failures.js';
import { AddressLimit, CredentialLimit } from './rate-limit.guards.js';
import { RateLimits } from './rate-limit.js';

/** What every HTTP service has, whatever it serves. */
@Module({})
export class PlatformModule {
  static forRoot(settings: Settings, methods: readonly AuthMethod[]): DynamicModule {
    return {
      module: PlatformModule,
      imports: [DiscoveryModule, TerminusModule.forRoot({ logger: false })],
      controllers: [
        AuditController,
        HealthController,
        MeController,
        openApiController(settings.production),
        ...combinedControllers(methods),
      ],
      providers: [OpenApi, RefusalEvents, RateLimits, Failures, AddressLimit, CredentialLimit, MediaGuard],
      exports: [AddressLimit, CredentialLimit, MediaGuard],
    };
  }
}
