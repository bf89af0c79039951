import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Page = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

/** Another server of this process, in the place of an issuer's: answers what it is told to, and counts what it is asked. */
export async function otherServer() {
  const pages = new Map<string, Page>();
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '';
      asked.set(path, (asked.get(path) ?? 0) + 1);
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const answer: unknown = await (pages.get(path) ?? notFound)(request, response, body);
      if (answer === undefined) return;
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(answer));
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** What is answered at a path: what the page gives back, as JSON, or what it writes itself. */
    at: (path: string, page: Page) => void pages.set(path, page),
    asked: (path: string) => asked.get(path) ?? 0,
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
}

const notFound: Page = (_, response) => {
  response.statusCode = 404;
  return {};
};

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A key of an issuer, as it publishes it and as it signs with it. */
export function issuersKey(kid: string, algorithm: 'ES256' | 'RS256' = 'ES256') {
  const { publicKey, privateKey } = newPair(algorithm);
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

function newPair(algorithm: 'ES256' | 'RS256'): { publicKey: KeyObject; privateKey: KeyObject } {
  return algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
}
