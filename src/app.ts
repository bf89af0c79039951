import 'reflect-metadata';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import type { INestApplication, Type } from '@nestjs/common';
import type { DestinationStream } from 'pino';
import { AppModule } from './app.module.js';
import { Authenticator } from './authentication/authenticator.js';
import type { AuthMethod } from './authentication/method.js';
import { applicationConfig } from './config/config.module.js';
import { InputPipe } from './http/input.pipe.js';
import { NestLogger, createLogger } from './http/logger.js';
import { OpenApiService } from './http/openapi.service.js';
import { ProblemFilter } from './http/problem.filter.js';
import { adapterFor } from './http/adapters.js';
import { FailedAttempts } from './rate-limits/failed-attempts.service.js';
import { RejectedRequestsListener } from './audit/rejected-requests.listener.js';

/**
 * Creates the application with the settings in `process.env`, without listening. Tests use it too.
 * @param controllers additional controllers
 * @param logTo receives the log lines instead of standard output
 */
export async function createApp(
  methods?: readonly AuthMethod[],
  controllers: readonly Type[] = [],
  logTo?: DestinationStream,
): Promise<INestApplication> {
  const settings = applicationConfig();
  const log = createLogger(settings, logTo);
  const app = await NestFactory.create(
    AppModule.forRoot(settings, methods, controllers),
    adapterFor(settings, log),
    // The request listener reads bodies (http/request-body.ts).
    { abortOnError: false, bodyParser: false, logger: new NestLogger(log) },
  );
  const failedAttempts = app.get(FailedAttempts);
  const audit = app.get(RejectedRequestsListener);
  app.useGlobalFilters(
    new ProblemFilter(app.get(HttpAdapterHost), app.get(Authenticator), [failedAttempts, audit]),
  );
  // Requests rejected outside Nest's handlers, which the filter does not see: before routing, or by oidc-provider.
  app.getHttpServer().on('refused', (error: unknown, ip = '') => {
    if (ip) failedAttempts.rejected(ip, error);
    audit.rejected(ip, error, undefined);
  });
  app.useGlobalPipes(new InputPipe());
  app.get(OpenApiService).setApplication(app);
  return app;
}
