import {
  HttpException,
  HttpStatus,
  Injectable,
  RequestMethod,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';

interface Route {
  readonly path: RegExp;
  readonly method: string;
}

/** 405 with the methods of the path (RFC 9110 section 15.5.6). */
export class MethodNotAllowed extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  constructor(allowed: readonly string[]) {
    super('Method Not Allowed', HttpStatus.METHOD_NOT_ALLOWED);
    this.headers = { Allow: allowed.join(', ') };
  }
}

const ANY_METHOD = RequestMethod[RequestMethod.ALL];

/** The methods of each path. Both adapters respond 404 to any other method, so the problem filter looks them up here. */
@Injectable()
export class AllowedMethodsService implements OnModuleInit {
  private routes: readonly Route[] = [];
  private routesOfAnyMethod: readonly Route[] = [];

  constructor(private readonly discovery: DiscoveryService) {}

  onModuleInit(): void {
    this.routes = this.collect();
    this.routesOfAnyMethod = this.routes.filter(({ method }) => method === ANY_METHOD);
  }

  /** @returns the methods of a known path; none for an unknown one */
  of(path: string): string[] {
    const methods = this.routes
      .filter((route) => route.method !== ANY_METHOD && route.path.test(path))
      .map(({ method }) => method);
    // Both adapters serve HEAD wherever they serve GET.
    return [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))].sort();
  }

  /** Whether a route for all methods serves the path, OPTIONS included. */
  answersPreflights(path: string): boolean {
    return this.routesOfAnyMethod.some((route) => route.path.test(path));
  }

  private collect(): Route[] {
    const scanner = new MetadataScanner();
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      const { prototype } = metatype as Type<Record<string, () => unknown>>;
      const prefixes = pathsOf(metatype as object);
      return scanner
        .getAllMethodNames(prototype)
        .map((name) => prototype[name]!)
        .filter((handler) => Reflect.hasMetadata(METHOD_METADATA, handler))
        .flatMap((handler) =>
          prefixes.flatMap((prefix) =>
            pathsOf(handler).map((path) => ({
              path: patternOf(`${prefix}/${path}`),
              method: RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod],
            })),
          ),
        );
    });
  }
}

const pathsOf = (target: object): string[] => [Reflect.getMetadata(PATH_METADATA, target) as string].flat();

/** A segment that begins with `:` matches any segment, and one that begins with `*` the rest of the path. */
function patternOf(path: string): RegExp {
  const segments = path.split('/').filter(Boolean);
  const patterns = segments.map((segment) => {
    if (segment.startsWith(':')) return '[^/]+';
    return segment.startsWith('*') ? '.+' : segment.replace(/[^\w-]/g, String.raw`\$&`);
  });
  return new RegExp(`^/${patterns.join('/')}$`);
}
