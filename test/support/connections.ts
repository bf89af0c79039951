import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseResponse, request } from './wire.js';

/** Resolves when the socket is closed, also by an error, which `once` of node:events would throw. */
export const closed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else
      socket
        .on('error', () => {})
        .once('close', () => resolve())
        .resume();
  });
/** Connects from an address of the loopback network. */
export const dial = async (port: number, localAddress = '127.0.0.1'): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {});
  await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closed(socket)]);
  return socket.resume();
};
/** Only Linux connects from every address of 127.0.0.0/8. */
export const HAS_MANY_ADDRESSES = process.platform === 'linux';
export const dialAll = (count: number, port: number, from?: string) =>
  Promise.all(Array.from({ length: count }, () => dial(port, from)));
/** Waits until the server has closed all but `count` of the connections. @returns those that are open */
export const untilOpen = async (count: number, sockets: readonly Socket[]): Promise<Socket[]> => {
  for (;;) {
    const open = sockets.filter((socket) => !socket.closed);
    if (open.length <= count) return open;
    await Promise.race(open.map(closed));
  }
};
/** The status of a request on this connection. */
export const statusOn = async (socket: Socket, path = '/http/probe') => {
  socket.write(request(`GET ${path} HTTP/1.1`, 'Host: a'));
  const [data] = (await once(socket, 'data')) as [Buffer];
  return parseResponse(data.toString()).status;
};

/** Sends requests and never reads the responses. Resolves when the server has closed the connection. */
export async function neverRead(socket: Socket): Promise<void> {
  socket.pause();
  const requests = request('GET /http/large HTTP/1.1', 'Host: localhost').repeat(200);
  const sender = setInterval(() => socket.write(requests), 20);
  // The client notices the end when it writes, because it does not read.
  await once(socket, 'error');
  clearInterval(sender);
  socket.destroy();
}
