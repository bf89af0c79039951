import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { INestApplication, Type } from '@nestjs/common';
import type { DestinationStream } from 'pino';
import { AppModule } from './app.module.js';
import type { AuthMethod } from './authentication/method.js';
import { applicationConfig } from './config/config.module.js';
import { AllowedMethodsService } from './http/allowed-methods.service.js';
import { validateParameters } from './http/input.pipe.js';
import { NestLogger, createLogger } from './http/logger.js';
import { OpenApiService } from './http/openapi.service.js';
import { ProblemFilter } from './http/problem.filter.js';
import { adapterFor } from './http/adapters.js';
import { requestContext } from './http/request-context.js';
import { RejectedRequests } from './authentication/ports.js';

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
  const { log, requestLog } = createLogger(settings, logTo);
  const app: INestApplication = await NestFactory.create(
    AppModule.forRoot(settings, methods, controllers),
    // The server runs these only after it listens, when both providers are assigned.
    await adapterFor(
      settings,
      log,
      requestLog,
      (error) => rejectedRequests.notify(requestContext.getStore()?.client.ip ?? '', error),
      () => allowedMethods,
    ),
    // The request listener reads bodies (http/request-body.ts).
    { abortOnError: false, bodyParser: false, logger: new NestLogger(log) },
  );
  const rejectedRequests = app.get(RejectedRequests);
  const allowedMethods = app.get(AllowedMethodsService);
  app.useGlobalFilters(app.get(ProblemFilter));
  validateParameters(app);
  app.get(OpenApiService).setApplication(app);
  return app;
}
