import { Logger, type INestApplication } from '@nestjs/common';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.js';
import { INSTALLED_METHODS } from './app.module.js';
import { demoCurl } from './authorization-server/index.js';
import { Settings } from './config/settings.js';
import { startupErrorText } from './config/startup-error.js';
import { welcomeText } from './demo/welcome.js';

async function start(): Promise<void> {
  const app = await createApp();
  const settings = app.get(Settings);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(app));
  await app.listen(settings.port, settings.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  if (settings.demo)
    process.stdout.write(
      welcomeText(settings.publicUrl.replace(/:0$/, `:${port}`), INSTALLED_METHODS, demoCurl),
    );
  else new Logger('Start').log({ event: 'listening', host: settings.host, port });
}

/** Finishes requests in progress, then closes the database. A second signal ends the process at once. */
async function stop(app: INestApplication): Promise<void> {
  await app.close();
  process.exit(0);
}

start().catch((error: unknown) => {
  process.stderr.write(`${startupErrorText(error)}\n`);
  process.exit(1);
});
