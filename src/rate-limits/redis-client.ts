import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';

/**
 * A client that never delays a request. Without a connection, a command fails at once; if a response takes longer
 * than a second, the connection is closed.
 */
export function redisClient(url: string): Redis {
  const logger = new Logger('Redis');
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 1_000,
    socketTimeout: 1_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
  });
  let down = false;
  // One line per outage, not per attempt to reconnect. An 'error' event without a listener would end the process.
  const isDown = (error?: Error) => {
    if (!down) logger.error({ event: 'redis is down', error: error?.message });
    down = true;
  };
  client.on('error', isDown);
  // An orderly shutdown of Redis emits no 'error'.
  client.on('reconnecting', () => isDown());
  client.on('ready', () => {
    if (down) logger.log({ event: 'redis is back' });
    down = false;
  });
  return client;
}
