import { STATUS_CODES } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { z } from 'zod';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import type { ErrorCode } from '../authentication/describe.js';
import type { AuthMethod } from '../authentication/method.js';
import type { MediaType } from '../authentication/plan.js';
import { Settings } from '../config/settings.js';
import {
  PROBLEM_SCHEMA,
  SERVER_ERRORS,
  codesByStatus,
  headerOf,
  headerRefs,
  problemExample,
  problemResponse,
} from './openapi-errors.js';
import { DescribedRoutes, type DescribedRoute } from './described-routes.service.js';
import { jsonSchemaOf } from './openapi-schemas.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Parameter = Operation['parameters'] extends (infer T)[] | undefined ? T : never;

const MEDIA_TYPES: Readonly<Record<MediaType, string>> = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
};

const CONDITIONS: Readonly<Record<string, Parameter>> = {
  'if-match': {
    name: 'If-Match',
    in: 'header',
    required: true,
    description: 'The `ETag` of the version that the caller has read, or `*`.',
    schema: { type: 'string' },
    example: '"1"',
  },
  'if-none-match': {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of the version that the caller already has.',
    schema: { type: 'string' },
    example: '"1"',
  },
};

/** The OpenAPI document of an application's routes. */
export class OpenApiDocument {
  private readonly methods: readonly AuthMethod[];
  private readonly authenticator: Authenticator;
  private readonly components: Record<
    'schemas' | 'examples' | 'headers' | 'responses',
    Record<string, unknown>
  > = {
    schemas: { Problem: PROBLEM_SCHEMA },
    examples: {},
    headers: {},
    responses: {},
  };

  constructor(private readonly app: INestApplication) {
    this.methods = app.get<readonly AuthMethod[]>(AUTH_METHODS, { strict: false });
    this.authenticator = app.get(Authenticator);
  }

  build(): OpenAPIObject {
    const { publicUrl } = this.app.get(Settings);
    const described = this.app.get(DescribedRoutes);
    const builder = new DocumentBuilder()
      .setOpenAPIVersion('3.1.0')
      .setTitle('Auth Atlas')
      .setDescription('Every way to authenticate an HTTP API, in one application.')
      .setVersion('1')
      .addServer(publicUrl);
    for (const each of described.securitySchemes(publicUrl)) builder.addSecurity(...each);
    const document = SwaggerModule.createDocument(this.app, builder.build(), {
      operationIdFactory: (controller, handler) => `${controller}_${handler}`,
      standardSchemaConverter: (schema, { schemaType }) => jsonSchemaOf(schema as z.ZodType, schemaType),
    });
    const routes = described.all();
    for (const item of Object.values(document.paths))
      for (const [method, operation] of Object.entries(item) as [string, Operation][])
        this.complete(operation, method, routes.get(operation.operationId ?? '')!);
    this.describeHeaders(this.components.responses);
    const { schemas, ...others } = this.components;
    const issuers = this.methods.filter(({ issuer }) => issuer);
    const issued = issuers.flatMap((each) => (each.issued ? this.schemaOf(each.issued) : []));
    document.components = {
      ...document.components,
      ...(others as object),
      schemas: {
        ...document.components?.schemas,
        ...schemas,
        ...(issued.length > 0 && { Issued: { anyOf: issued } }),
        ...(issuers.length > 0 && { IssuerName: { type: 'string', enum: issuers.map(({ name }) => name) } }),
      },
    };
    document.tags = this.tagsOf([...routes.values()]);
    return document;
  }

  /** Adds what Nest's module for Swagger does not read from the decorators. */
  private complete(operation: Operation, method: string, route: DescribedRoute): void {
    const { id, description, tag, methods } = route;
    operation.operationId = id;
    operation.summary = description?.summary ?? '';
    if (tag) operation.tags = [tag.name];
    operation.security = methods.map((names) => Object.fromEntries(names.map(({ name }) => [name, []])));
    operation.parameters = [...(operation.parameters ?? []), ...this.headerParameters(route, method)];
    this.describeBody(operation, route);
    const headers = this.methods.flatMap(({ responseHeaders = [] }) => responseHeaders);
    this.describeSuccess(operation, route, headers);
    for (const [status, codes] of codesByStatus(this.errorsOf(operation, route))) {
      for (const code of codes)
        this.components.examples[`${status}_${code}`] ??= problemExample(status, code);
      operation.responses[status] = this.errorResponse(
        status,
        codes,
        status === '401' ? headers : [],
      ) as never;
    }
    this.describeHeaders(operation.responses);
  }

  private describeHeaders(responses: object): void {
    for (const { headers = {} } of Object.values(responses) as { headers?: object }[])
      for (const name of Object.keys(headers)) this.components.headers[name] ??= headerOf(name);
  }

  /** A status with no other code than the server's own is described once. */
  private errorResponse(status: string, codes: readonly string[], headers: readonly string[]): object {
    const response = problemResponse(status, codes, headers);
    if (SERVER_CODES.get(status)?.length !== codes.length) return response;
    const name = STATUS_CODES[status]!.replace(/\W/g, '');
    this.components.responses[name] = response;
    return { $ref: `#/components/responses/${name}` };
  }

  private describeBody(operation: Operation, { media, body }: DescribedRoute): void {
    if (!operation.requestBody || !('content' in operation.requestBody)) return;
    const [content] = Object.values(operation.requestBody.content);
    operation.requestBody = {
      required: !body?.safeParse(undefined).success,
      content: Object.fromEntries(media.map((each) => [MEDIA_TYPES[each], content ?? {}])),
    };
  }

  private describeSuccess(operation: Operation, route: DescribedRoute, headers: readonly string[]): void {
    const { description, contentType, requestHeaders } = route;
    const [status = '200'] = Object.keys(operation.responses);
    const bodies: Record<string, z.ZodType | undefined> = {
      [status]: description?.response,
      ...description?.alternatives,
    };
    const names = [...(description?.headers ?? []), ...headers];
    const others = Object.fromEntries(
      (description?.media ?? []).map((media) => [media, { schema: { type: 'string' } }]),
    );
    operation.responses = {};
    for (const [each, body] of Object.entries(bodies))
      operation.responses[each] = {
        description: body ? (description?.summary ?? '') : 'No content.',
        headers: headerRefs(names),
        ...(body && { content: { [contentType]: { schema: this.schemaOf(body) }, ...others } }),
      };
    if (requestHeaders.includes('if-none-match'))
      operation.responses['304'] = {
        description: 'The caller has this version.',
        headers: headerRefs(names),
      };
  }

  private schemaOf(type: z.ZodType): object {
    const { schema, components } = jsonSchemaOf(type, 'output');
    Object.assign(this.components.schemas, components);
    return schema;
  }

  private headerParameters({ requestHeaders, methods }: DescribedRoute, httpMethod: string): Parameter[] {
    const only = methods.length === 1 ? methods[0]! : [];
    const headers = methods.flat().filter((method) => {
      if (method.strategy && this.authenticator.strategyOf(method.name).ambient) return httpMethod !== 'get';
      return only.includes(method);
    });
    return [
      ...requestHeaders.flatMap((name) => CONDITIONS[name] ?? []),
      ...headers.flatMap(({ requestHeaders: own = {} }) =>
        Object.entries(own).map(([name, description]): Parameter => ({
          name,
          in: 'header',
          required: false,
          description,
          schema: { type: 'string' },
        })),
      ),
    ];
  }

  private errorsOf({ parameters = [], requestBody }: Operation, route: DescribedRoute): ErrorCode[] {
    const { methods, errors, description, isHttpsOnly, requestHeaders } = route;
    const isIn = (place: string) => parameters.some((each) => 'in' in each && each.in === place);
    const isNamed = (name: string) => parameters.some((each) => 'name' in each && each.name === name);
    const strategies = methods.flat().map(({ name }) => this.authenticator.strategyOf(name));
    return [
      ...SERVER_ERRORS,
      ...(methods.length ? AUTHENTICATION_ERRORS : []),
      ...methods.flat().flatMap((method) => method.errors ?? []),
      // About the connection, so of every route.
      ...this.methods.flatMap((method) => method.errors ?? []).filter((error) => error.startsWith('421')),
      ...(methods.some(({ length }) => length > 1) ? (['401 different_accounts'] as const) : []),
      ...(isHttpsOnly || strategies.some(({ sendsSecret }) => sendsSecret)
        ? (['403 https_required'] as const)
        : []),
      ...(isIn('path') ? (['404 not_found'] as const) : []),
      ...(isIn('query') ? (['400 invalid_query'] as const) : []),
      ...(isNamed('cursor') ? (['400 invalid_cursor'] as const) : []),
      ...(requestBody ? (['422 invalid_body'] as const) : []),
      ...(requestHeaders.includes('if-match')
        ? (['412 precondition_failed', '428 precondition_required'] as const)
        : []),
      ...errors,
      ...(description?.errors ?? []),
    ];
  }

  private tagsOf(routes: readonly DescribedRoute[]): { name: string; description: string }[] {
    const tags = new Map(routes.flatMap(({ tag }) => (tag ? [[tag.name, tag] as const] : [])));
    const isMethod = (name: string) => this.methods.some((method) => method.name === name);
    return [...tags.values()].sort(
      (a, b) => Number(isMethod(a.name)) - Number(isMethod(b.name)) || (a.name < b.name ? -1 : 1),
    );
  }
}

const SERVER_CODES = codesByStatus(SERVER_ERRORS);

const AUTHENTICATION_ERRORS: readonly ErrorCode[] = [
  '400 ambiguous_credentials',
  '401 unauthenticated',
  '401 invalid_token',
];
