import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reportCosts } from '../cost-meter.js';

/** The message of a server that listens. */
export interface Listening {
  readonly origin: string;
  /** The headers of an authenticated request. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Tells the benchmark that a server listens. */
export function announce(server: Server, headers: Listening['headers'] = {}): void {
  const { port } = server.address() as AddressInfo;
  reportCosts();
  process.send!({ origin: `http://127.0.0.1:${port}`, headers } satisfies Listening);
}

/** Starts an application with Nest's default settings, on the adapter that the first argument names. */
export async function startNest(module: Type, headers?: Listening['headers']): Promise<void> {
  const app =
    process.argv[2] === 'express'
      ? await NestFactory.create(module, new ExpressAdapter())
      : await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter());
  await app.listen(0, '127.0.0.1');
  announce(app.getHttpServer() as Server, headers);
}
