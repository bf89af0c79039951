import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Listening } from './contestants/contestant.js';
import type { CostRequest } from './cost-meter.js';
import type { Credentials, CredentialsOptions, SigningRequest } from './credentials.js';
import type { ProfileRequest } from './profiler.js';
import { Process, SERVER_CORE, stopProcesses } from './processes.js';
import type { ServerReady } from './server.js';

/** A client of the demo and its published secret. */
export const CLIENT = 'machine';
export const CLIENT_SECRET = 'machine-demo-secret-0123456789abcdef';

export interface Contestant extends Listening {
  readonly server: Process<CostRequest>;
}

export interface Application extends Credentials {
  readonly server: Process<CostRequest | ProfileRequest>;
  readonly origin: string;
  readonly signer: Process<SigningRequest>;
}

/** Data in the application's database. */
export type Size = Omit<CredentialsOptions, 'origin'>;

const folder = mkdtempSync(join(tmpdir(), 'atlas-bench-'));
let applications = 0;

/** Starts a server of `contestants/`. */
export async function startContestant(script: string, argument = ''): Promise<Contestant> {
  const server = Process.start<CostRequest>(`contestants/${script}.js`, SERVER_CORE, [argument]);
  return { ...(await server.nextMessage<Listening>()), server };
}

/** Starts the application on a new database, and a process that fills the database and signs requests. */
export async function startApplication(size: Size, settings: NodeJS.ProcessEnv = {}): Promise<Application> {
  const data = { NODE_ENV: 'development', DATA_DIR: join(folder, String(applications++)), ...settings };
  const server = Process.start<CostRequest | ProfileRequest>('server.js', SERVER_CORE, [], data);
  const { origin, env } = await server.nextMessage<ServerReady>();
  const options: CredentialsOptions = { ...size, origin };
  const script = 'credentials.js';
  const signer = Process.start<SigningRequest>(script, SERVER_CORE, [JSON.stringify(options)], {
    ...data,
    ...env,
  });
  return { ...(await signer.nextMessage<Credentials>()), server, origin, signer };
}

/** Ends all servers and deletes their data. */
export async function stopServers(): Promise<void> {
  await stopProcesses();
  rmSync(folder, { recursive: true, force: true });
}

/** Starts a server when it is first needed. */
export function lazily<Server>(start: () => Promise<Server>): () => Promise<Server> {
  let started: Promise<Server> | undefined;
  return () => (started ??= start());
}
