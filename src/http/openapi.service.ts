import {
  Inject,
  Injectable,
  type INestApplication,
  type OnApplicationBootstrap,
  type Type,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { Authenticator, AUTH_METHODS } from '../authentication/authenticator.js';
import { PUBLIC, type Plan } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import { Settings } from '../config/settings.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457. `code` is stable; docs/reference/errors.md lists every one.',
  required: ['type', 'title', 'status', 'code', 'detail', 'requestId'],
  properties: {
    type: { const: 'about:blank' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    requestId: { type: 'string', format: 'uuid' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

/** Builds the OpenAPI document once at start from the application's routes. */
@Injectable()
export class OpenApiService implements OnApplicationBootstrap {
  /** The document as JSON text. */
  json = '';
  private app: INestApplication | undefined;

  constructor(
    @Inject(AUTH_METHODS) private readonly methods: readonly AuthMethod[],
    private readonly authenticator: Authenticator,
    private readonly controllers: DiscoveryService,
    private readonly settings: Settings,
  ) {}

  setApplication(app: INestApplication): void {
    this.app = app;
  }

  onApplicationBootstrap(): void {
    if (this.app) this.json = JSON.stringify(this.build(this.app));
  }

  private build(app: INestApplication): OpenAPIObject {
    const builder = new DocumentBuilder()
      .setOpenAPIVersion('3.1.0')
      .setTitle('Auth Atlas')
      .setDescription('Every way to authenticate an HTTP API, in one application.')
      .setVersion('1')
      .addServer(this.settings.publicUrl);
    for (const { name, openapi } of this.methods) if (openapi) builder.addSecurity(name, openapi);
    const document = SwaggerModule.createDocument(app, builder.build(), {
      operationIdFactory: (controller, handler) => `${controller}_${handler}`,
      standardSchemaConverter: (schema, { schemaType }) => ({
        schema: z.toJSONSchema(schema as z.ZodType, { io: schemaType, unrepresentable: 'any' }),
      }),
    });
    document.components = {
      ...document.components,
      schemas: { ...document.components?.schemas, Problem: PROBLEM } as never,
    };
    const plans = this.plans();
    for (const path of Object.values(document.paths))
      for (const operation of Object.values(path) as Operation[])
        this.addSecurityAndErrors(operation, plans.get(operation.operationId ?? ''));
    return document;
  }

  /** Adds the security requirements, from the same plan that the guard uses, and the error responses. */
  private addSecurityAndErrors(operation: Operation, plan: Plan | typeof PUBLIC | undefined): void {
    const alternatives = plan === PUBLIC ? [] : this.authenticator.alternativesOf(plan);
    operation.security = alternatives.map((names) => Object.fromEntries(names.map((name) => [name, []])));
    Object.assign(operation.responses, {
      ...(alternatives.length && {
        401: {
          ...problem('The credential is missing or invalid.'),
          headers: { 'WWW-Authenticate': { schema: { type: 'string' } } },
        },
      }),
      ...(operation.requestBody && { 422: problem('The body is invalid.') }),
      default: problem('Any other problem.'),
    });
  }

  /** The plan of each handler, by operation id. */
  private plans(): Map<string, Plan | typeof PUBLIC | undefined> {
    const scanner = new MetadataScanner();
    return new Map(
      this.controllers.getControllers().flatMap(({ metatype }) => {
        const type = metatype as Type<Record<string, () => unknown>>;
        return scanner
          .getAllMethodNames(type.prototype)
          .map((name): [string, Plan | typeof PUBLIC | undefined] => [
            `${type.name}_${name}`,
            this.authenticator.planOf(type, type.prototype[name]),
          ]);
      }),
    );
  }
}
