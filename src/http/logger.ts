import type { LoggerService } from '@nestjs/common';
import { pino, type DestinationStream, type Logger } from 'pino';
import type { Settings } from '../config/settings.js';
import { requestId } from './request-context.js';

/** Nest's own account of how it wires itself: useful to whoever looks for it. */
const CHATTER = ['InstanceLoader', 'NestFactory', 'NestApplication', 'RouterExplorer', 'RoutesResolver'];

/**
 * JSON lines. Silent in tests, unless the test brings a destination, which then gets every level.
 * @param destination instead of standard output
 */
export function createLogger(settings: Settings, destination?: DestinationStream): Logger {
  const quiet = settings.environment === 'test' ? 'silent' : 'info';
  // In pieces of 4 KiB, or after a second: a write for every line costs a tenth of all that a request takes.
  const sink =
    destination ?? pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 1000 });
  return pino(
    {
      level: destination ? 'trace' : quiet,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => (requestId() ? { requestId: requestId() } : {}),
      redact: { paths: SECRETS, censor: '[redacted]' },
    },
    { write: (line) => sink.write(oneLine(line)) },
  );
}

/** No caller of the log writes such a field. Should one be added by mistake, its value stays out. */
const SECRETS = [
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

/** JSON leaves a few line breaks and control characters as they are, and a terminal or a log viewer obeys them. */
const oneLine = (line: string) =>
  line.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

/** Lets Nest and all that logs through it write those lines. */
export class NestLogger implements LoggerService {
  constructor(private readonly pino: Logger) {}

  log = (message: unknown, ...rest: unknown[]) => this.write('info', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.write('warn', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.write('error', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.write('fatal', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.write('trace', message, rest);

  /** Nest puts the context last, and before it an error's stack. */
  private write(level: keyof typeof LEVELS, message: unknown, rest: unknown[]): void {
    const context = rest.at(-1);
    const stack = rest.length > 1 ? rest[0] : undefined;
    const chatter = level === 'info' && CHATTER.includes(String(context));
    this.pino[chatter ? 'debug' : level](
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

const LEVELS = { info: 0, warn: 0, error: 0, fatal: 0, debug: 0, trace: 0 };
