import 'reflect-metadata';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import type { INestApplication, Type } from '@nestjs/common';
import type { DestinationStream } from 'pino';
import { AppModule } from './app.module.js';
import { Authenticator, type AuthMethod } from './auth/index.js';
import type { Settings } from './config/index.js';
import {
  Failures,
  InputPipe,
  NestLog,
  OpenApi,
  ProblemFilter,
  RefusalEvents,
  adapterFor,
  createLog,
} from './platform/index.js';

/**
 * The whole application, not yet listening. Tests use it too.
 * @param controllers are added to the application's own
 * @param logTo takes the log's lines instead of standard output
 */
export async function createApp(
  settings: Settings,
  methods?: readonly AuthMethod[],
  controllers: readonly Type[] = [],
  logTo?: DestinationStream,
): Promise<INestApplication> {
  const log = createLog(settings, logTo);
  const app = await NestFactory.create(
    AppModule.forRoot(settings, methods, controllers),
    adapterFor(settings, log),
    // Bodies are read at the gate.
    { abortOnError: false, bodyParser: false, logger: new NestLog(log) },
  );
  const failures = app.get(Failures);
  const events = app.get(RefusalEvents);
  app.useGlobalFilters(
    new ProblemFilter(app.get(HttpAdapterHost), app.get(Authenticator), [failures, events]),
  );
  // What is answered where the filter never sees it: at the gate, or by an engine that answers by itself.
  app.getHttpServer().on('refused', (error: unknown, ip = '') => {
    if (ip) failures.refused(ip, error);
    events.refused(ip, error, undefined);
  });
  app.useGlobalPipes(new InputPipe());
  app.get(OpenApi).describe(app);
  return app;
}
