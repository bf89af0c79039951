import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { SECURITY_HEADERS } from '../../src/http/security-headers.js';

interface Response {
  readonly headers?: object;
  readonly content?: Readonly<Record<string, { examples?: object }>>;
}
interface Operation {
  readonly summary: string;
  readonly responses: Readonly<Record<string, Response>>;
}

/** Headers of Node, of every response, and of CORS, which only `CORS_ORIGINS` adds. */
const UNDOCUMENTED_HEADERS = new Set([
  ...SECURITY_HEADERS.map(([, lowerCaseName]) => lowerCaseName),
  'access-control-allow-origin',
  'access-control-expose-headers',
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'transfer-encoding',
  'vary',
]);

interface Compiled {
  readonly ajv: Ajv2020;
  readonly document: { readonly paths: Readonly<Record<string, Record<string, Operation>>> };
  readonly paths: readonly { readonly path: string; readonly pattern: RegExp }[];
}

/** Compiling schemas is slow, and most applications of a test file have the same document. */
const compiled = new Map<string, Compiled>();

function compile(json: string): Compiled {
  const { servers: _origin, ...document } = JSON.parse(json) as Compiled['document'] & { servers: unknown };
  const key = JSON.stringify(document);
  const known = compiled.get(key);
  if (known) return known;
  const ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema(document, 'openapi');
  // A literal segment takes precedence over a parameter.
  const literals = (path: string) => path.replace(/\{\w+\}/g, '').length;
  const paths = Object.keys(document.paths)
    .toSorted((a, b) => literals(b) - literals(a))
    .map((path) => ({
      path,
      pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
    }));
  const result = { ajv, document, paths };
  compiled.set(key, result);
  return result;
}

/** Compares every response of a server with its OpenAPI document. */
export class DocumentedResponses {
  private readonly faults = new Set<string>();
  private readonly openapi: Compiled;

  constructor(json: string) {
    this.openapi = compile(json);
  }

  watch(server: Server): void {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      for (const name of ['write', 'end'] as const) {
        const original = response[name].bind(response) as (...args: unknown[]) => never;
        response[name] = (chunk?: unknown, ...rest: unknown[]) => {
          if (typeof chunk === 'string') chunks.push(Buffer.from(chunk));
          else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
          return original(chunk, ...rest);
        };
      }
      // Fastify passes its headers to `writeHead`, and Express sets them before.
      const headers: OutgoingHttpHeaders = {};
      response.writeHead = (...args: unknown[]) => {
        for (const [name, value] of Object.entries(args[1] ?? {})) headers[name.toLowerCase()] = value;
        // Not the method from before: Express has replaced the prototype since.
        const { writeHead } = Object.getPrototypeOf(response) as { writeHead: (...args: unknown[]) => never };
        return writeHead.apply(response, args);
      };
      response.on('finish', () =>
        this.check(
          request,
          response.statusCode,
          { ...response.getHeaders(), ...headers },
          Buffer.concat(chunks).toString(),
        ),
      );
    });
  }

  /** @throws Error naming what the document lacks */
  assertComplete(): void {
    if (this.faults.size)
      throw new Error(`/openapi.json does not describe:\n${[...this.faults].slice(0, 20).join('\n')}`);
  }

  private check(
    { method = '', url = '' }: IncomingMessage,
    status: number,
    headers: OutgoingHttpHeaders,
    body: string,
  ): void {
    const target = url.split('?')[0]!;
    const path = this.openapi.paths.find(({ pattern }) => pattern.test(target))?.path;
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const operation = path === undefined ? undefined : this.openapi.document.paths[path]![verb];
    // The controllers of tests have no descriptions.
    if (path === undefined || !operation?.summary) return;
    const fault = (text: string): void => {
      this.faults.add(`${verb.toUpperCase()} ${path} ${status}: ${text}`);
    };
    const response = this.resolve(operation.responses[status]);
    if (!response) return fault(`the status, with ${body.slice(0, 200)}`);
    // The document lists the headers of credentials once, with a success.
    const declared = [response, ...Object.values(operation.responses)].flatMap((each) =>
      Object.keys(this.resolve(each)?.headers ?? {}).map((name) => name.toLowerCase()),
    );
    for (const name of Object.keys(headers))
      if (!UNDOCUMENTED_HEADERS.has(name) && !declared.includes(name)) fault(`the header ${name}`);
    if (method === 'HEAD') return;
    const media = String(headers['content-type'] ?? '').split(';')[0]!;
    const content = response.content?.[media];
    if (!body && !response.content) return;
    if (!content) return fault(`the media type ${media}, with ${body.slice(0, 200)}`);
    if (!media.endsWith('json')) return;
    const value = JSON.parse(body) as { code?: string };
    const { $ref } = operation.responses[status] as { $ref?: string };
    const pointer = $ref ?? `#/paths/${escape(path)}/${verb}/responses/${status}`;
    const validate = this.openapi.ajv.getSchema(`openapi${pointer}/content/${escape(media)}/schema`)!;
    if (!validate(value)) fault(`${this.openapi.ajv.errorsText(validate.errors)} in ${body.slice(0, 300)}`);
    if (media.startsWith('application/problem') && !Object.hasOwn(content.examples!, value.code!))
      fault(`the code ${value.code}`);
  }

  private resolve(response: Response | { $ref: string } | undefined): Response | undefined {
    if (!response || !('$ref' in response)) return response;
    return response.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], this.openapi.document) as Response;
  }
}

/** A segment of a JSON pointer in a URI fragment. */
const escape = (segment: string) => encodeURIComponent(segment.replaceAll('~', '~0').replaceAll('/', '~1'));
