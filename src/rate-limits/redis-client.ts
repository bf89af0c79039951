import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';

/**
 * A client that never makes a request wait for a Redis which is down: a command fails at once where there is no
 * connection, and the connection is given up where an answer takes longer than a second.
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
  // One line for each failure, not one for each attempt to connect again; an 'error' that nobody hears ends the process.
  const isDown = (error?: Error) => {
    if (!down) logger.error({ event: 'redis is down', error: error?.message });
    down = true;
  };
  client.on('error', isDown);
  // An orderly end is no error.
  client.on('reconnecting', () => isDown());
  client.on('ready', () => {
    if (down) logger.log({ event: 'redis is back' });
    down = false;
  });
  return client;
}
