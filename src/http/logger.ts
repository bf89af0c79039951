import type { LoggerService } from '@nestjs/common';
import { pino, type DestinationStream, type Logger } from 'pino';
import type { ServerResponse } from 'node:http';
import type { Settings } from '../config/settings.js';
import { LogSink } from './log-sink.js';
import { requestId, type RequestContext } from './request-context.js';

/** Nest logs its start-up under these names. Their lines are written at level debug. */
const NEST_STARTUP_CONTEXTS = [
  'InstanceLoader',
  'NestFactory',
  'NestApplication',
  'RouterExplorer',
  'RoutesResolver',
];

/** Writes the line of a request whose response is over. */
export type RequestLog = (context: RequestContext, response: ServerResponse, milliseconds: number) => void;

/**
 * Logs JSON lines. Silent in tests, unless a test passes a destination, which receives every level.
 * @param destination replaces standard output
 */
export function createLogger(
  settings: Settings,
  destination?: DestinationStream,
): { readonly log: Logger; readonly requestLog: RequestLog } {
  const level = settings.environment === 'test' ? 'silent' : 'info';
  const output = destination ?? (level === 'silent' ? undefined : new LogSink());
  const log = pino(
    {
      level: destination ? 'trace' : level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => (requestId() ? { requestId: requestId() } : {}),
      redact: { paths: REDACTED_FIELDS, censor: '[redacted]' },
    },
    { write: (line) => output?.write(oneLine(line)) },
  );
  return {
    log,
    requestLog: (...request) => output?.write(requestLine(...request)),
  };
}

/**
 * One line per request, without pino: its fields are fixed, and none of them is a secret or text that a client can choose
 * freely. The route is the pattern, because the path and the query may contain secrets.
 */
const requestLine = (
  { requestId, route, client }: RequestContext,
  { req, statusCode, headersSent, writableFinished }: ServerResponse,
  milliseconds: number,
): string =>
  `{"level":"info","time":"${new Date().toISOString()}","requestId":"${requestId}","method":"${req.method}"` +
  `${route === undefined ? '' : `,"route":${JSON.stringify(route)}`},"ip":${JSON.stringify(client.ip)}` +
  `${headersSent ? `,"status":${statusCode}` : ''},"ms":${Math.round(milliseconds * 10) / 10}` +
  `${writableFinished ? '' : ',"aborted":true'},"msg":"request"}\n`;

/** A safety net: no code logs these fields. */
const REDACTED_FIELDS = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'headers',
  'body',
  'query',
  'parameters',
].flatMap((name) => [name, `*.${name}`]);

/** Escapes the line breaks and control characters that JSON leaves as they are: terminals and log viewers act on them. */
const oneLine = (line: string) =>
  line.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

/** Nest's logger, writing to pino. */
export class NestLogger implements LoggerService {
  constructor(private readonly pino: Logger) {}

  log = (message: unknown, ...rest: unknown[]) => this.write('info', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.write('warn', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.write('error', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.write('fatal', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.write('trace', message, rest);

  /** Nest passes the context last, and before it the stack of an error. */
  private write(level: Level, message: unknown, rest: unknown[]): void {
    const context = rest.at(-1);
    const stack = rest.length > 1 ? rest[0] : undefined;
    const isStartup = level === 'info' && NEST_STARTUP_CONTEXTS.includes(String(context));
    this.pino[isStartup ? 'debug' : level](
      {
        context,
        ...(typeof stack === 'string' && { stack }),
        ...(message instanceof Error
          ? { type: message.name, error: message.message, stack: message.stack }
          : typeof message === 'object' && message),
      },
      typeof message === 'string' ? message : undefined,
    );
  }
}

type Level = 'info' | 'warn' | 'error' | 'fatal' | 'debug' | 'trace';
