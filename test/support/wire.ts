import { Body, Controller, Get, Header, Post, Query } from '@nestjs/common';
import { expect } from '@jest/globals';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { Consumes, CurrentRequest, Public } from '../../src/authentication/plan.js';
import type { AuthRequest } from '../../src/authentication/request.js';
import type { Booted } from './app.js';

/** The number of handler calls. */
export const handlerCalls = { count: 0 };

@Controller('http')
@Public()
export class HttpRoutes {
  @Get('probe') probe() {
    return { reached: ++handlerCalls.count };
  }
  @Post('body') body(@Body({ schema: z.strictObject({ name: z.string() }) }) body: object) {
    handlerCalls.count++;
    return body;
  }
  @Post('form') @Consumes('form') form(@Body() form: object) {
    return { parameters: Object.keys(form).length };
  }
  @Get('query') query(@Query({ schema: z.strictObject({ name: z.string().optional() }) }) query: object) {
    return query;
  }
  @Get('large') large() {
    return { text: 'x'.repeat(200_000) };
  }
  @Get('broken') broken() {
    throw new Error('at /home/somebody/secret.ts: SELECT 1');
  }
  @Get('address') address(@CurrentRequest() request: AuthRequest) {
    return { ip: request.ip, secure: request.secure };
  }
  @Get('certificate') certificate(@CurrentRequest() request: AuthRequest) {
    return { headers: request.headers['client-cert'] ?? null, lines: request.lines('Client-Cert') };
  }
  @Get('cached') @Header('Cache-Control', 'public, max-age=60') cached() {
    return {};
  }
}

export const server = (booted: Booted) => booted.app.getHttpServer() as Server;

export const open = (booted: Booted): Socket => {
  const { hostname, port } = new URL(booted.origin);
  return connect(Number(port), hostname).on('error', () => {});
};

/** Writes bytes and returns everything received until the server closes the connection. */
export async function sendRaw(booted: Booted, bytes: string | Buffer): Promise<string> {
  const socket = open(booted);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  let response = '';
  for await (const chunk of socket.setEncoding('latin1')) response += String(chunk);
  return response;
}

export const request = (...lines: readonly string[]) => `${lines.join('\r\n')}\r\n\r\n`;
export const get = (path: string, ...headers: readonly string[]) =>
  request(`GET ${path} HTTP/1.1`, 'Host: atlas.test', 'Connection: close', ...headers);

export const SECURITY = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

export function parseResponse(response: string) {
  const [head = '', body = ''] = response.split(/\r\n\r\n(.*)/s);
  const [first = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [name = '', value = ''] = line.split(/: (.*)/s);
      return [name.toLowerCase(), value];
    }),
  );
  return { status: Number(first.split(' ')[1]), headers, body };
}

/** Expects a problem with every security header, and a closed connection. */
export function expectRejection(response: string, status: number, code: string): void {
  const { headers, body, ...rest } = parseResponse(response);
  expect([response.slice(0, 40), rest.status]).toEqual([response.slice(0, 40), status]);
  expect(headers).toMatchObject({
    ...SECURITY,
    'content-type': 'application/problem+json; charset=utf-8',
    connection: 'close',
  });
  expect(JSON.parse(body)).toMatchObject({ status, code, requestId: headers['x-request-id'] });
}

/** A request to `/http/body` without its body. */
export const post = (...headers: readonly string[]) =>
  request('POST /http/body HTTP/1.1', 'Host: a', 'Content-Type: application/json', ...headers);

/** The header with which a test signs in. */
export const credential = (headers: Record<string, string>) =>
  Object.entries(headers).map((pair) => pair.join(': '))[0]!;
