import { once } from 'node:events';
import { createServer } from 'node:http';
import { PRINCIPAL } from '../principal.js';
import { announce } from './contestant.js';

/** The baseline of all tables: Node's HTTP server and a JSON body. */
const server = createServer((_request, response) => {
  const body = JSON.stringify(PRINCIPAL);
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
announce(server);
