import { createApp } from './app.js';
import { BadSettings, Settings } from './config/index.js';

async function start(): Promise<void> {
  const settings = Settings.from(process.env);
  const app = await createApp(settings);
  await app.listen(settings.port, settings.host);
}

start().catch((error: unknown) => {
  process.stderr.write(`${error instanceof BadSettings ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = 1;
});
