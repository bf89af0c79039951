import { z } from 'zod';
import type { Settings } from '../config/settings.js';

const connections = z
  .string()
  .regex(/^[1-9]\d{0,5}$/, 'must be a number of connections, as 1000')
  .transform(Number);

const schema = z.object({
  KEEP_ALIVE_SECONDS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a number of seconds, as 65')
    .transform(Number)
    .default(5),
  MAX_CONNECTIONS: connections.default(2_048),
  MAX_CONNECTIONS_PER_ADDRESS: connections.default(512),
});

/** Files that the process needs besides its connections: the database, other servers, Redis, the log. */
const RESERVED_FILES = 128;

export interface ServerConfig {
  /** The time that a connection stays open for its next request. */
  readonly keepAliveMs: number;
  /** Open connections on all ports together. */
  readonly maxConnections: number;
  /** Open connections of an IPv4 address or IPv6 /64. Trusted proxies are exempt. */
  readonly maxConnectionsPerAddress: number;
}

/** @throws InvalidSettings */
export function readServerConfig(settings: Settings): ServerConfig {
  const variables = settings.section(schema);
  return {
    keepAliveMs: variables.KEEP_ALIVE_SECONDS * 1000,
    // Without a free file descriptor the process can accept nobody, and reach no database.
    maxConnections: Math.min(
      variables.MAX_CONNECTIONS,
      Math.max(maxOpenFiles() - RESERVED_FILES, RESERVED_FILES),
    ),
    maxConnectionsPerAddress: variables.MAX_CONNECTIONS_PER_ADDRESS,
  };
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
