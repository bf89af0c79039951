import { Logger, type INestApplication } from '@nestjs/common';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.js';
import { INSTALLED_METHODS } from './app.module.js';
import { demoCurl } from './authorization-server/index.js';
import { Settings } from './config/settings.js';
import { startupErrorText } from './config/startup-error.js';
import { DemoDataService } from './database/demo-data.service.js';
import { textWithoutDemo, welcomeText } from './demo/welcome.js';

async function start(): Promise<void> {
  const app = await createApp();
  const settings = app.get(Settings);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(app, 0));
  // Node raises this for a rejected promise without a handler as well.
  process.on('uncaughtException', (error: unknown) => {
    new Logger('Process').fatal(error instanceof Error ? error : new Error(String(error)));
    stop(app, 1);
  });
  await app.listen(settings.port, settings.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const origin = settings.publicUrl.replace(/:0$/, `:${port}`);
  if (settings.demo)
    process.stdout.write(
      app.get(DemoDataService).exists
        ? welcomeText(origin, INSTALLED_METHODS, demoCurl)
        : textWithoutDemo(origin),
    );
  else new Logger('Start').log({ event: 'listening', host: settings.host, port });
}

/** Longer than requests in progress may take after the server stopped accepting others. */
const MAX_STOP_MS = 20_000;
let isStopping = false;

/** Finishes requests in progress, then closes the database and exits. A second signal ends the process at once. */
function stop(app: INestApplication, exitCode: 0 | 1): void {
  process.exitCode ||= exitCode;
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => process.exit(1), MAX_STOP_MS).unref();
  app.close().then(
    () => process.exit(),
    (error: unknown) => {
      new Logger('Process').error(error);
      process.exit(1);
    },
  );
}

start().catch((error: unknown) => {
  process.stderr.write(`${startupErrorText(error)}\n`);
  process.exit(1);
});
