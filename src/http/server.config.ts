import { z } from 'zod';
import { InvalidSettings, type Settings } from '../config/settings.js';

const connections = z
  .string()
  .regex(/^[1-9]\d{0,5}$/, 'must be a number of connections, as 1000')
  .transform(Number);

/** Exactly as a browser sends it in `Origin`: no default port, upper case, path, wildcard or `null`. */
const isBrowserOrigin = (text: string): boolean =>
  /^https?:\/\/(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?$/.test(text) &&
  URL.canParse(text) &&
  new URL(text).origin === text;

const origins = z
  .string()
  .transform((list) => list.split(',').map((item) => item.trim()))
  .refine((list) => list.every(isBrowserOrigin), 'must list origins, as https://app.example.com');

const schema = z.object({
  CORS_ORIGINS: origins.optional(),
  KEEP_ALIVE_SECONDS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a number of seconds, as 65')
    .transform(Number)
    .default(5),
  MAX_CONNECTIONS: connections.default(2_048),
  MAX_CONNECTIONS_PER_ADDRESS: connections.default(512),
});

/** Files that the process needs besides its connections: the database, other servers, Redis, the log, parts loaded on first use. */
const RESERVED_FILES = 512;
const MIN_CONNECTIONS = 128;

export interface ServerConfig {
  /** The time that a connection stays open for its next request. */
  readonly keepAliveMs: number;
  /** Open connections on all ports together. */
  readonly maxConnections: number;
  /** The other origins whose pages may call the API. */
  readonly corsOrigins: ReadonlySet<string>;
  /** Open connections of an IPv4 address or IPv6 /64. Trusted proxies are exempt. */
  readonly maxConnectionsPerAddress: number;
}

/** @throws InvalidSettings */
export function readServerConfig(settings: Settings): ServerConfig {
  const variables = settings.section(schema);
  return {
    keepAliveMs: variables.KEEP_ALIVE_SECONDS * 1000,
    corsOrigins: new Set(corsOrigins(settings, variables.CORS_ORIGINS)),
    // Without a free file descriptor the process can accept nobody, and reach no database.
    maxConnections: Math.min(
      variables.MAX_CONNECTIONS,
      Math.max(maxOpenFiles() - RESERVED_FILES, MIN_CONNECTIONS),
    ),
    maxConnectionsPerAddress: variables.MAX_CONNECTIONS_PER_ADDRESS,
  };
}

/** The page of the demo's single-page application. Only the demo allows it without a setting. */
export const DEMO_SPA_ORIGIN = 'http://localhost:5173';

/** @throws InvalidSettings */
function corsOrigins(settings: Settings, configured: readonly string[] | undefined): readonly string[] {
  if (!configured) return [DEMO_SPA_ORIGIN].filter((each) => settings.demo && !settings.isOwnOrigin(each));
  if (configured.some((each) => settings.isOwnOrigin(each)))
    throw new InvalidSettings(['CORS_ORIGINS must list other origins than that of PUBLIC_URL.']);
  // A page that arrives over plain HTTP can be replaced on its way, and then holds the tokens of its user.
  if (settings.production && !configured.every((each) => each.startsWith('https:')))
    throw new InvalidSettings(['CORS_ORIGINS must begin with https: in production.']);
  return configured;
}

/** The limit of `ulimit -n`. Node has no plainer way to read it. */
function maxOpenFiles(): number {
  // Node would look up the name of each peer.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as {
    userLimits?: { open_files?: { soft: number | 'unlimited' } };
  };
  const limit = userLimits?.open_files?.soft;
  return typeof limit === 'number' ? limit : Infinity;
}
