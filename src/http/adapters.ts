import type { AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage, RequestListener } from 'node:http';
import { parse } from 'node:querystring';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.js';
import { requestBody } from './bodies.js';
import { requestContextOf } from './request-listener.js';
import { writeProblem } from './problem.js';
import { ApiServer } from './server.js';

/** Nest's adapter for the framework that is asked for. Both stand on {@link ApiServer} and read requests alike. */
export const adapterFor = (settings: Settings, log: Logger): AbstractHttpAdapter =>
  settings.httpAdapter === 'express' ? expressAdapter(settings, log) : fastifyAdapter(settings, log);

function fastifyAdapter(settings: Settings, log: Logger): AbstractHttpAdapter {
  let server: ApiServer | undefined;
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) =>
      (server = new ApiServer(handler, log, (address) => settings.trusts(address))),
    clientErrorHandler: (error, socket) => server?.refuse(error, socket),
    // The gate lets no such request through; should Fastify find one more, it is answered in our words.
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      writeProblem(reply.raw, error, requestContextOf(request.raw)?.requestId);
      reply.raw.end();
    },
    trustProxy: settings.trustProxy.length ? [...settings.trustProxy] : false,
    return503OnClosing: false,
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: 16 * 1024,
      querystringParser: parse,
    },
  });
  const fastify = adapter.getInstance();
  fastify.decorateRequest('rawBody', undefined);
  fastify.addHook('onRequest', (request, _reply, done) => {
    const body = requestBody(request.raw);
    Object.assign(request, { body: body?.value, rawBody: body?.raw });
    see(request.raw, () => ({ route: request.routeOptions.url, ip: request.ip }));
    done();
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (request, _payload, done) => done(null, requestBody(request.raw)?.value));
  return adapter;
}

function expressAdapter(settings: Settings, log: Logger): AbstractHttpAdapter {
  const app = express();
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', parse);
  app.set('trust proxy', [...settings.trustProxy]);
  app.use((request, _response, next) => {
    const body = requestBody(request);
    Object.assign(request, { body: body?.value, rawBody: body?.raw });
    see(request, () => ({ route: (request.route as { path?: string } | undefined)?.path, ip: request.ip }));
    next();
  });
  return new ExpressOnApiServer(app, log, (address) => settings.trusts(address));
}

class ExpressOnApiServer extends ExpressAdapter {
  constructor(
    instance: RequestListener,
    private readonly log: Logger,
    private readonly trusts: (address: string | undefined) => boolean,
  ) {
    super(instance);
  }

  override initHttpServer(): void {
    const server = new ApiServer(this.getInstance(), this.log, this.trusts);
    server.on('clientError', (error, socket) => server.refuse(error, socket as never));
    this.httpServer = server as never;
  }
}

function see(request: IncomingMessage, seen: () => { route: string | undefined; ip: string | undefined }) {
  const context = requestContextOf(request);
  if (context) context.seen = seen;
}
