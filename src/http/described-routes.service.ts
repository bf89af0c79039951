import { Inject, Injectable, type Type } from '@nestjs/common';
import { HEADERS_METADATA, ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import type { z } from 'zod';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import {
  DESCRIPTION,
  ROUTE_ERRORS,
  TAG,
  type Description,
  type ErrorCode,
} from '../authentication/describe.js';
import type { AuthMethod } from '../authentication/method.js';
import { CONSUMES, HTTPS_ONLY_ROUTE, PUBLIC, type MediaType } from '../authentication/plan.js';
import { SECURITY_SCHEMES, type SecuritySchemes } from '../authentication/security-schemes.js';

/** A handler of a controller, with all that its decorators say. */
export interface DescribedRoute {
  readonly id: string;
  readonly methods: readonly (readonly AuthMethod[])[];
  readonly description: Description | undefined;
  readonly errors: readonly ErrorCode[];
  readonly tag: { readonly name: string; readonly description: string } | undefined;
  readonly media: readonly MediaType[];
  readonly isHttpsOnly: boolean;
  readonly contentType: string;
  /** The names of the request headers that the handler reads, in lower case. */
  readonly requestHeaders: readonly string[];
  readonly body: z.ZodType | undefined;
}

/** Reads the decorators of all handlers for the OpenAPI document. */
@Injectable()
export class DescribedRoutes {
  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly authenticator: Authenticator,
    private readonly controllers: DiscoveryService,
    private readonly reflector: Reflector,
  ) {}

  /** The handlers of all controllers, by the operation id of Nest's module for Swagger. */
  all(): Map<string, DescribedRoute> {
    const scanner = new MetadataScanner();
    return new Map(
      this.controllers.getControllers().flatMap(({ metatype, host }) => {
        const type = metatype as Type<Record<string, () => unknown>>;
        const method = this.methods.find(({ module }) => module === host?.metatype);
        return scanner
          .getAllMethodNames(type.prototype)
          .map((name): [string, DescribedRoute] => [
            `${type.name}_${name}`,
            this.routeOf(type, name, method),
          ]);
      }),
    );
  }

  /** The security schemes of the methods and of controllers, by name. */
  securitySchemes(publicUrl: string): Map<string, NonNullable<AuthMethod['openapi']>> {
    const ofControllers = this.controllers.getControllers().flatMap(({ metatype }) => {
      const schemesAt = this.reflector.get<Parameters<typeof SecuritySchemes>[0] | undefined>(
        SECURITY_SCHEMES,
        metatype as Type,
      );
      return Object.entries(schemesAt?.(publicUrl) ?? {});
    });
    return new Map([
      ...this.methods.flatMap(({ name, openapi }) => (openapi ? [[name, openapi] as const] : [])),
      ...ofControllers,
    ]);
  }

  private routeOf(
    type: Type<Record<string, () => unknown>>,
    id: string,
    method?: AuthMethod,
  ): DescribedRoute {
    const handler = type.prototype[id] as () => unknown;
    const plan = this.authenticator.planOf({ getHandler: () => handler, getClass: () => type });
    const alternatives = plan === PUBLIC ? [] : plan;
    const metadata = <T>(key: string) =>
      this.reflector.getAllAndOverride<T | undefined>(key, [handler, type]);
    const headers = Reflect.getMetadata(HEADERS_METADATA, handler) as
      { name: string; value: string }[] | undefined;
    const parameters = parametersOf(type, id);
    return {
      id,
      methods: alternatives.map((names) =>
        names.map((name) => this.methods.find((each) => each.name === name)!),
      ),
      description: metadata<Description>(DESCRIPTION),
      errors: metadata<ErrorCode[]>(ROUTE_ERRORS) ?? [],
      tag: method
        ? { name: method.name, description: `The method ${method.name}: see docs/methods/${method.name}.md.` }
        : metadata(TAG),
      media: metadata<MediaType[]>(CONSUMES) ?? ['json'],
      isHttpsOnly: Boolean(metadata(HTTPS_ONLY_ROUTE)),
      contentType:
        headers?.find(({ name }) => name === 'Content-Type')?.value.split(';')[0] ?? 'application/json',
      requestHeaders: parameters
        .filter(({ kind, data }) => kind === String(RouteParamtypes.HEADERS) && data)
        .map(({ data }) => data!),
      body: parameters.find(({ kind }) => kind === String(RouteParamtypes.BODY))?.schema,
    };
  }
}

/** The parameters of a handler. Nest keeps them by `kind:index`. */
export function parametersOf(controller: Type, handler: string) {
  const parameters = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, handler) as
    Record<string, { data?: string; schema?: z.ZodType; pipes: unknown[] }> | undefined;
  return Object.entries(parameters ?? {}).map(([key, { data, schema, pipes }]) => ({
    kind: key.split(':')[0],
    data,
    schema,
    pipes,
  }));
}
