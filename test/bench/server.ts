import type { AddressInfo } from 'node:net';
import { createApp } from '../../src/app.js';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { freshDatabase, UNLIMITED } from '../support/app.js';
import { reportCosts } from './cost-meter.js';
import { reportProfiles } from './profiler.js';
import { unguarded } from './unguarded.controller.js';

/** The message of the application once it listens. */
export interface ServerReady {
  readonly origin: string;
  /** The settings of another application on the same database. */
  readonly env: Readonly<Record<string, string>>;
}

/** The application as shipped, with rate limits that are never reached. Nothing else runs in this process. */
const database = await freshDatabase();
const env = { PORT: '0', TLS_PORT: '0', DEMO: 'true', ...UNLIMITED, ...database.env };
Object.assign(process.env, env);
const app = await createApp([...INSTALLED_METHODS, unguarded]);
await app.listen(0, '127.0.0.1');
reportProfiles();
reportCosts(() => app.close().then(database.drop));
const { port } = app.getHttpServer().address() as AddressInfo;
process.send!({ origin: `http://127.0.0.1:${port}`, env } satisfies ServerReady);
