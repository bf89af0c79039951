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

type ServerFactory = (handler: RequestListener) => HttpServer;

/**
 * The Nest adapter selected by `HTTP_ADAPTER`. Both run on {@link HttpServer}, so that both parse requests in the same way.
 * @param onRejected is called for requests rejected before routing, in the context of the request
 */
export function adapterFor(
  settings: Settings,
  log: Logger,
  onRejected: (error: unknown) => void,
): AbstractHttpAdapter {
  const createServer: ServerFactory = (handler) =>
    new HttpServer(handler, log, (address) => settings.trusts(address), onRejected);
  return settings.httpAdapter === 'express'
    ? expressAdapter(settings, createServer)
    : fastifyAdapter(settings, createServer);
}

function fastifyAdapter(settings: Settings, createServer: ServerFactory): AbstractHttpAdapter {
  let server: HttpServer | undefined;
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) => (server = createServer(handler)),
    clientErrorHandler: (error, socket) => server?.rejectUnparsable(error, socket),
    // The request listener rejects these requests first. This keeps the problem format if Fastify itself rejects one.
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

function expressAdapter(settings: Settings, createServer: ServerFactory): AbstractHttpAdapter {
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
  return new ExpressOnHttpServer(app, createServer);
}

class ExpressOnHttpServer extends ExpressAdapter {
  constructor(
    instance: RequestListener,
    private readonly createServer: ServerFactory,
  ) {
    super(instance);
  }

  override initHttpServer(): void {
    const server = this.createServer(this.getInstance());
    server.on('clientError', (error, socket) => server.rejectUnparsable(error, socket as never));
    this.httpServer = server as never;
  }
}

function setDetails(request: IncomingMessage, details: RequestContext['details']): void {
  if (request.requestContext) request.requestContext.details = details;
}
