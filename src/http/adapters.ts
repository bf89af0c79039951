import type { AbstractHttpAdapter } from '@nestjs/core';
import type { Request } from 'express';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { METHODS, type IncomingMessage, type RequestListener } from 'node:http';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.js';
import type { AllowedMethodsService } from './allowed-methods.service.js';
import { CrossOriginSharing } from './cross-origin.js';
import type { RequestLog } from './logger.js';
import { parseParameters } from './parameters.js';
import { writeProblem } from './problem.js';
import { HttpResponse } from './response.js';
import { readServerConfig } from './server.config.js';
import { HttpServer } from './server.js';

type ServerFactory = (handler: RequestListener) => HttpServer;

/**
 * The Nest adapter selected by `HTTP_ADAPTER`. Both run on {@link HttpServer}, so that both parse requests in the same way.
 * @param onRejected is called for requests rejected before routing, in the context of the request
 */
export function adapterFor(
  settings: Settings,
  log: Logger,
  requestLog: RequestLog,
  onRejected: (error: unknown) => void,
  allowedMethods: () => AllowedMethodsService,
): Promise<AbstractHttpAdapter> {
  const config = readServerConfig(settings);
  const crossOrigin = new CrossOriginSharing(config.corsOrigins, allowedMethods);
  const createServer: ServerFactory = (handler) =>
    new HttpServer(
      handler,
      log,
      requestLog,
      config,
      crossOrigin,
      (address) => settings.trusts(address),
      onRejected,
    );
  return settings.httpAdapter === 'express' ? expressAdapter(createServer) : fastifyAdapter(createServer);
}

const noSchemas = () => () => {
  throw new Error('Routes declare their schemas with zod.');
};

async function fastifyAdapter(createServer: ServerFactory): Promise<AbstractHttpAdapter> {
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
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
    genReqId: (request: IncomingMessage) => request.requestContext?.requestId ?? '',
    trustProxy: false,
    return503OnClosing: false,
    // No route has a schema of Fastify. By default it would load ajv and fast-json-stringify.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: 16 * 1024,
      querystringParser: parseParameters,
    },
  });
  const fastify = adapter.getInstance();
  // By default Fastify routes fewer methods than Express, and requires a Content-Type of QUERY.
  for (const method of METHODS)
    if (method === 'QUERY' || !fastify.supportedMethods.includes(method))
      fastify.addHttpMethod(method, { overrideExisting: true });
  for (const [name, read] of Object.entries(REQUEST_PROPERTIES))
    fastify.decorateRequest(name, {
      getter(this: FastifyRequest) {
        return read(this.raw);
      },
    });
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { requestContext: context, requestBody: body } = request.raw;
    // Not a function: Node 22 would keep it, and the request with it, until the next full garbage collection.
    if (context) context.routed = request.routeOptions.url;
    // Fastify parses no body of a GET request.
    request.body = body?.value;
    done();
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (request, _payload, done) => done(null, request.raw.requestBody?.value));
  return adapter;
}

async function expressAdapter(createServer: ServerFactory): Promise<AbstractHttpAdapter> {
  const { ExpressAdapter } = await import('@nestjs/platform-express');
  const { default: express } = await import('express');
  // Express replaces the prototype of each response by this object.
  Object.setPrototypeOf(express.response, HttpResponse.prototype);
  const app = express();
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', parseParameters);
  for (const [name, read] of Object.entries(REQUEST_PROPERTIES))
    Object.defineProperty(app.request, name, {
      get(this: IncomingMessage) {
        return read(this);
      },
    });
  // Express would respond 304 by itself, and Fastify would not.
  Object.defineProperty(app.request, 'fresh', { value: false });
  app.use((request, _response, next) => {
    const { requestContext: context, requestBody: body } = request as IncomingMessage;
    if (context) context.routed = () => routeOf(request);
    request.body = body?.value;
    next();
  });
  const adapter = new ExpressAdapter(app);
  adapter.initHttpServer = () => {
    const server = createServer(app);
    server.on('clientError', (error, socket) => server.rejectUnparsable(error, socket as never));
    adapter.setHttpServer(server);
  };
  return adapter;
}

/** Express also sets `route` for a HEAD request that the route does not serve. */
function routeOf(request: Request): string | undefined {
  const route = request.route as { path: string; methods: Record<string, boolean> } | undefined;
  const isServed = request.method !== 'HEAD' || route?.methods['get'] || route?.methods['_all'];
  return isServed ? route?.path : undefined;
}

/** The properties of an adapter's request that the request listener has determined. Both adapters would determine them differently. */
const REQUEST_PROPERTIES: Readonly<Record<string, (raw: IncomingMessage) => unknown>> = {
  ip: ({ requestContext: context }) => context?.client.ip,
  protocol: ({ requestContext: context }) => (context?.client.secure ? 'https' : 'http'),
  rawBody: ({ requestBody: body }) => body?.raw,
};
