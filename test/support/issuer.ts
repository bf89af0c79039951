import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

/** A server in this process that acts as an issuer. It serves the given handlers and counts the requests. */
export async function startIssuerServer() {
  const handlers = new Map<string, Handler>();
  const requestCounts = new Map<string, number>();
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '';
      requestCounts.set(path, (requestCounts.get(path) ?? 0) + 1);
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const result: unknown = await (handlers.get(path) ?? notFound)(request, response, body);
      if (result === undefined) return;
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(result));
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Sets the handler of a path. Its return value is sent as JSON; without one, it has sent the response itself. */
    at: (path: string, handler: Handler) => void handlers.set(path, handler),
    requestCount: (path: string) => requestCounts.get(path) ?? 0,
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
}

const notFound: Handler = (_, response) => {
  response.statusCode = 404;
  return {};
};

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A signing key of an issuer, with its published JWK. */
export function newIssuerKey(kid: string, algorithm: 'ES256' | 'RS256' = 'ES256') {
  const { publicKey, privateKey } = newKeyPair(algorithm);
  return {
    kid,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' },
    sign: (claims: object, header: object = {}) => {
      const input = [{ alg: algorithm, typ: 'at+jwt', kid, ...header }, claims].map(encode).join('.');
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
    },
  };
}

function newKeyPair(algorithm: 'ES256' | 'RS256'): { publicKey: KeyObject; privateKey: KeyObject } {
  return algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
}
