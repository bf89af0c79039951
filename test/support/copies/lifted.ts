import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { AddressInfo } from 'node:net';
import { DataSource } from 'typeorm';
import { AppModule } from '../../../src/app.module.js';
import { callMethod, sendToParent, signInByCeremony, type MethodResponses } from './call-method.js';

/** The responses of a blank application with a method, or with a ceremony and its issuer. */
export interface LiftedResponses {
  readonly responses: MethodResponses;
  readonly ceremonyStatus?: number;
}

/** Runs in the copy, where `AppModule` is the one of the blank application: starts it, and calls the method. */
async function callLiftedMethod(method: string, ceremony?: string): Promise<LiftedResponses> {
  const adapter = process.env['HTTP_ADAPTER'] === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(AppModule, adapter, {
    abortOnError: false,
    logger: ['warn', 'error', 'fatal'],
  });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const running = { app, db: app.get(DataSource), origin: `http://127.0.0.1:${port}` };
  const responses = await callMethod(running, method);
  const ceremonyStatus = ceremony && (await signInByCeremony(running, ceremony, method));
  await app.close();
  return { responses, ...(ceremonyStatus && { ceremonyStatus }) };
}

await sendToParent(await callLiftedMethod(process.argv[2]!, process.argv[3]));
process.disconnect();
