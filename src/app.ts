import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { INestApplication, Type } from '@nestjs/common';
import { AppModule } from './app.module.js';
import type { AuthMethod } from './auth/index.js';
import type { Settings } from './config/index.js';

/**
 * The whole application, not yet listening. Tests use it too.
 * @param controllers are added to the application's own
 */
export async function createApp(
  settings: Settings,
  methods?: readonly AuthMethod[],
  controllers: readonly Type[] = [],
): Promise<INestApplication> {
  const adapter = settings.httpAdapter === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  return NestFactory.create(AppModule.forRoot(settings, methods, controllers), adapter, {
    abortOnError: false,
  });
}
