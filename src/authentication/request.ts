import { BadRequestException, ForbiddenException, type ArgumentsHost } from '@nestjs/common';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Principal } from './principal.js';

/** A response as Nest passes it: Node's own on Express; on Fastify that is its `raw`. */
export type AdapterResponse = ServerResponse | { readonly raw: ServerResponse };

/** A request as Nest passes it: Node's own on Express; on Fastify that is its `raw`. */
export type AdapterRequest = (IncomingMessage | { readonly raw: IncomingMessage }) & {
  readonly ip: string;
  readonly protocol: string;
  readonly body?: unknown;
  readonly rawBody?: Buffer;
  /** Set by {@link AuthenticateGuard}. */
  user?: Principal;
  /** Set by {@link authRequest}, which creates it once. */
  authRequest?: AuthRequest;
};

export const rawRequest = (request: AdapterRequest): IncomingMessage =>
  'raw' in request ? request.raw : request;

export const rawResponse = (response: AdapterResponse): ServerResponse =>
  'raw' in response ? response.raw : response;

/** The values of all lines of a header, in order; empty if it is absent. Node's `headersDistinct` would copy all headers. */
export function headerLines({ headers, rawHeaders }: IncomingMessage, name: string): readonly string[] {
  const key = name.toLowerCase();
  if (headers[key] === undefined) return [];
  const lines: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.length === key.length && rawHeaders[i]!.toLowerCase() === key)
      lines.push(rawHeaders[i + 1]!);
  return lines;
}

/** The adapter's request. `switchToHttp()` creates three functions at each call, and the guards would call it ten times. */
export const requestOf = <T = AdapterRequest>(context: ArgumentsHost): T => context.getArgByIndex(0);

export const authRequestOf = (context: ArgumentsHost): AuthRequest =>
  authRequest(requestOf(context), context.getArgByIndex(1));

/** Sets `request.user`, as Passport does. */
export const setCaller = (context: ArgumentsHost, principal: Principal): void => {
  requestOf(context).user = principal;
};

export const findCaller = (context: ArgumentsHost): Principal | undefined => requestOf(context).user;

/** @throws Error on a public route, where the handler must not use `@Caller()` */
export function callerOf(context: ArgumentsHost): Principal {
  const principal = findCaller(context);
  if (!principal) throw new Error('This route is public, so it has no caller.');
  return principal;
}

/** The {@link AuthRequest} of a request. It throws what the constructor throws. */
export function authRequest(request: AdapterRequest, response: AdapterResponse): AuthRequest {
  return (request.authRequest ??= new AuthRequest(request, rawRequest(request), rawResponse(response)));
}

/**
 * The request as a method sees it, the same on every HTTP adapter. The names are Node's where Node has them, so
 * that strategies from npm can read it.
 */
export class AuthRequest {
  readonly method: string;
  /** The request target of the first line, undecoded: path and query. */
  readonly target: string;
  /** The Host header. */
  readonly authority: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;

  /**
   * @param response Node's own response, for {@link beforeSend}
   * @throws BadRequestException if the request is ambiguous: a second Authorization, Host or Cookie header, no
   *   Host, or a target that is not a path (RFC 9112 sections 3.2 and 3.2.1)
   */
  constructor(
    private readonly request: AdapterRequest,
    private readonly raw: IncomingMessage,
    readonly response: ServerResponse,
  ) {
    this.method = raw.method ?? 'GET';
    this.target = raw.url ?? '';
    this.headers = raw.headers;
    this.socket = raw.socket;
    this.header('Authorization');
    this.header('Cookie');
    this.authority = this.header('Host') ?? '';
    if (!this.authority) throw ambiguous('host_required', 'The Host header is missing.');
    if (!this.target.startsWith('/')) throw ambiguous('invalid_target', 'The request target must be a path.');
  }

  /** The client's address: that of the connection, or the one that a trusted proxy forwards. */
  get ip(): string {
    return this.request.ip;
  }

  /** True over TLS, to this server or to a trusted proxy that says so. */
  get secure(): boolean {
    return this.request.protocol === 'https';
  }

  /**
   * The bytes of the body, if there is one.
   * @throws Error if the application parses bodies without `rawBody: true`
   */
  get rawBody(): Buffer | undefined {
    const { body, rawBody } = this.request;
    const { 'transfer-encoding': coding, 'content-length': length } = this.headers;
    const hasBody = coding !== undefined || Number(length) > 0;
    if (hasBody && !rawBody && body !== undefined && body !== null)
      throw new Error('A method needs the raw body. Create the application with `rawBody: true`.');
    return rawBody;
  }

  /**
   * The value of a header that may occur only once.
   * @throws BadRequestException `duplicate_header`; Node would join the values, or drop one
   */
  header(name: string): string | undefined {
    const lines = this.lines(name);
    if (lines.length > 1) throw ambiguous('duplicate_header', `The ${name} header came twice.`);
    return lines[0];
  }

  /** The values of all lines of a header, in order; empty if it is absent. */
  lines(name: string): readonly string[] {
    return headerLines(this.raw, name);
  }

  /**
   * The values of all cookies with this name. More than one value is a sign of an attack. Splits at semicolons, removes only spaces and
   * tabs, and compares the name case-sensitively: a browser applies the rules of `__Host-` to no other spelling (RFC 6265bis section
   * 4.1.3.2).
   */
  cookies(name: string): string[] {
    const header = this.header('Cookie');
    if (!header?.includes(name)) return [];
    return header
      .split(';')
      .map((pair) => pair.replace(/^[ \t]+/, ''))
      .flatMap((pair) => (pair.startsWith(`${name}=`) ? [pair.slice(name.length + 1)] : []));
  }

  /** Adds a header to the response, whatever its status will be. */
  setHeader(name: string, value: string): void {
    this.response.appendHeader(name, value);
  }
}

/**
 * Whether a page of another site makes a browser send the request. The browser adds client certificates and remembered passwords.
 * Browsers without `Sec-Fetch-Site` send `Origin` with every request that may change data; other clients send neither.
 */
export function isCrossSite(request: AuthRequest, isOwnOrigin: (origin: string) => boolean): boolean {
  const [site, origin] = [request.header('Sec-Fetch-Site'), request.header('Origin')];
  if (site !== undefined) return !['same-origin', 'none'].includes(site);
  return origin !== undefined && !isOwnOrigin(origin);
}

/**
 * For passwords that a browser remembers (RFC 7617 section 4), and for forms without the token of a session. Another site can cause
 * a write, but cannot read a response.
 * @throws ForbiddenException `cross_site_request`
 */
export function rejectCrossSiteWrite(request: AuthRequest, isOwnOrigin: (origin: string) => boolean): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(request.method) || !isCrossSite(request, isOwnOrigin)) return;
  const detail = 'A page of another site may not send this request.';
  throw new ForbiddenException({ code: 'cross_site_request', detail });
}

const ambiguous = (code: string, detail: string) => new BadRequestException({ code, detail });
