import type { AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage, RequestListener } from 'node:http';
import { parse } from 'node:querystring';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.js';
import { writeProblem } from './problem.js';
import type { RequestContext } from './request-context.js';
import { HttpServer } from './server.js';

/** The Nest adapter selected by `HTTP_ADAPTER`. Both run on {@link HttpServer}, so that requests are read alike. */
export const adapterFor = (settings: Settings, log: Logger): AbstractHttpAdapter =>
  settings.httpAdapter === 'express' ? expressAdapter(settings, log) : fastifyAdapter(settings, log);

function fastifyAdapter(settings: Settings, log: Logger): AbstractHttpAdapter {
  let server: HttpServer | undefined;
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) =>
      (server = new HttpServer(handler, log, (address) => settings.trusts(address))),
    clientErrorHandler: (error, socket) => server?.rejectUnparsable(error, socket),
    // The request listener rejects these requests first. This keeps the format if Fastify rejects another one.
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      writeProblem(reply.raw, error, request.raw.requestContext?.requestId);
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
    const body = request.raw.requestBody;
    Object.assign(request, { body: body?.value, rawBody: body?.raw });
    setDetails(request.raw, () => ({ route: request.routeOptions.url, ip: request.ip }));
    done();
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (request, _payload, done) => done(null, request.raw.requestBody?.value));
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
    const body = request.requestBody;
    Object.assign(request, { body: body?.value, rawBody: body?.raw });
    setDetails(request, () => ({
      route: (request.route as { path?: string } | undefined)?.path,
      ip: request.ip,
    }));
    next();
  });
  return new ExpressOnHttpServer(app, log, (address) => settings.trusts(address));
}

class ExpressOnHttpServer extends ExpressAdapter {
  constructor(
    instance: RequestListener,
    private readonly log: Logger,
    private readonly isTrustedProxy: (address: string | undefined) => boolean,
  ) {
    super(instance);
  }

  override initHttpServer(): void {
    const server = new HttpServer(this.getInstance(), this.log, this.isTrustedProxy);
    server.on('clientError', (error, socket) => server.rejectUnparsable(error, socket as never));
    this.httpServer = server as never;
  }
}

function setDetails(request: IncomingMessage, details: RequestContext['details']): void {
  if (request.requestContext) request.requestContext.details = details;
}
