import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Injectable, Module, Post, Query, RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { PassportStrategy } from '@nestjs/passport';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { Strategy } from 'passport-custom';
import { z } from 'zod';
import { INSTALLED_METHODS } from '../../src/app.module.js';
import { Authenticate, Public, SelfService, allOf, anyOf } from '../../src/authentication/plan.js';
import { Challenge } from '../../src/authentication/challenge.js';
import type { AuthMethod, AuthStrategy } from '../../src/authentication/method.js';
import type { MethodName } from '../../src/authentication/principal.js';
import { RANDOM_SECRET, as, boot, client, testMethod, type Booted } from '../support/app.js';

const Thing = z.strictObject({ name: z.string().max(10), at: z.coerce.date().optional() });
const Page = z.strictObject({ limit: z.coerce.number().int().max(100).default(20) });

declare module '../../src/authentication/principal.js' {
  interface AuthMethods {
    badge: true;
    seal: true;
  }
}

/** A method that exists only to be described. */
function described(name: MethodName): AuthMethod {
  @Injectable()
  class DescribedStrategy extends PassportStrategy(Strategy, name) implements AuthStrategy {
    readonly challenge = new Challenge(name);
    claims = () => false;
    validate = () => undefined;
  }
  @Module({ providers: [DescribedStrategy] })
  class DescribedModule {}
  return {
    name,
    module: DescribedModule,
    strategy: DescribedStrategy,
    openapi: { type: 'http', scheme: name },
  };
}

const installed = [...INSTALLED_METHODS, described('badge'), described('seal'), testMethod];

@Controller('spec')
@SelfService()
class SpecRoutes {
  @Post('things') make(@Body({ schema: Thing }) thing: object) {
    return thing;
  }
  @Get('things') list(@Query({ schema: Page }) page: object) {
    return page;
  }
  @Get('open') @Public() open() {}
  @Get('both') @Authenticate(allOf('seal', 'badge')) both() {}
  @Get('mixed') @Authenticate(anyOf('badge', allOf('seal', 'test'))) mixed() {}
}

describe('GET /openapi.json', () => {
  let booted: Booted;
  // oxlint-disable-next-line typescript/no-explicit-any -- a document of any shape
  let document: any;
  beforeAll(async () => {
    booted = await boot({ methods: installed, controllers: [SpecRoutes] });
    document = (await client(booted.origin).get('/openapi.json')).body;
  });
  afterAll(() => booted.close());

  it('is OpenAPI 3.1 without broken references', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Auth Atlas', version: '1' } });
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path = '']) => path,
    );
    expect(references.length).toBeGreaterThan(0);
    for (const reference of references)
      // oxlint-disable-next-line typescript/no-explicit-any -- a document of any shape
      expect(reference.split('/').reduce((at: any, key) => at?.[key], document)).toBeDefined();
    const operations = Object.entries(document.paths as object).flatMap(([path, item]) =>
      Object.values(item as object).map((operation) => ({ path, ...operation })),
    );
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, parameters } of operations)
      for (const [, name] of path.matchAll(/\{(\w+)\}/g))
        expect(parameters).toContainEqual(expect.objectContaining({ name, in: 'path', required: true }));
  });

  it('contains every route except its own page and those of oidc-provider', () => {
    const scanner = new MetadataScanner();
    const routes = booted.app
      .get(DiscoveryService, { strict: false })
      .getControllers()
      .filter(({ metatype }) => !Reflect.hasMetadata('swagger/apiExcludeController', metatype!))
      .flatMap(({ metatype }) => {
        const prefix = [Reflect.getMetadata(PATH_METADATA, metatype!)].flat()[0] as string;
        return scanner.getAllMethodNames(metatype!.prototype as object).flatMap((name) => {
          const handler = (metatype!.prototype as Record<string, object>)[name]!;
          const path = Reflect.getMetadata(PATH_METADATA, handler) as string | undefined;
          const method = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as number];
          const full = `/${[prefix, path].join('/')}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
          const isExcluded = Reflect.hasMetadata('swagger/apiExcludeEndpoint', handler);
          return path === undefined || isExcluded ? [] : [`${method} ${full.replace(/:(\w+)/g, '{$1}')}`];
        });
      });
    const documented = Object.entries(document.paths as object).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toContain('GET /me');
    expect(documented.sort()).toEqual(routes.filter((route) => !/^GET \/openapi(\/|$)/.test(route)).sort());
  });

  it('has a security scheme for each method that declares one', () => {
    const schemes = Object.entries(document.components.securitySchemes as Record<string, { type: string }>);
    const declared = installed.flatMap(({ name, openapi }) => (openapi ? [name] : []));
    expect(schemes.map(([name]) => name)).toEqual(expect.arrayContaining(declared));
    for (const [name, scheme] of schemes)
      // The authorization server describes these.
      if (!['oauth2', 'openIdConnect'].includes(scheme.type))
        expect([name, scheme]).toEqual([name, installed.find((each) => each.name === name)?.openapi]);
  });

  it("has the security requirements of each route's plan, and none for public routes", () => {
    const { paths } = document;
    expect(paths['/spec/open'].get.security).toEqual([]);
    expect(paths['/health/live'].get.security).toEqual([]);
    expect(paths['/spec/both'].get.security).toEqual([{ seal: [], badge: [] }]);
    expect(paths['/spec/mixed'].get.security).toEqual([{ badge: [] }, { seal: [], test: [] }]);
    const proving = installed.filter(({ strategy }) => strategy).map(({ name }) => ({ [name]: [] }));
    expect(new Set(paths['/me'].get.security)).toEqual(new Set(proving));
  });

  it('describes bodies, queries and problems', () => {
    const { post, get } = document.paths['/spec/things'];
    const body = post.requestBody.content['application/json'].schema;
    const schema = body.$ref ? document.components.schemas[body.$ref.split('/').at(-1)] : body;
    expect(schema).toMatchObject({
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: { name: { type: 'string', maxLength: 10 } },
    });
    expect(get.parameters).toEqual([
      expect.objectContaining({
        name: 'limit',
        in: 'query',
        required: false,
        schema: expect.objectContaining({ maximum: 100 }),
      }),
    ]);
    const problem = {
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
    expect(post.responses).toMatchObject({ 401: problem, 422: problem });
    expect(document.paths['/spec/open'].get.responses['401']).toBeUndefined();
  });

  describe('every operation', () => {
    interface Described {
      path: string;
      verb: string;
      operationId: string;
      summary: string;
      tags: string[];
      security: object[];
      parameters: { name: string; in: string; required: boolean }[];
      requestBody?: { content: Record<string, object> };
      // oxlint-disable-next-line typescript/no-explicit-any -- a document of any shape
      responses: Record<string, any>;
    }
    const operations = () =>
      Object.entries(document.paths as object)
        .filter(([path]) => !path.startsWith('/spec/'))
        .flatMap(([path, item]) =>
          Object.entries(item as object).map(
            ([verb, operation]) => ({ path, verb, ...operation }) as Described,
          ),
        );
    // oxlint-disable typescript/no-explicit-any -- a document of any shape
    const at = (value: any, key: string): any => value[key];
    const resolve = (object: any) =>
      '$ref' in object ? object.$ref.slice(2).split('/').reduce(at, document) : object;
    // oxlint-enable typescript/no-explicit-any

    it('has the name of its handler as its unique id', () => {
      const ids = operations().map(({ operationId }) => operationId);
      expect(ids).toEqual(expect.arrayContaining(['createDocument', 'updateDocument', 'createApiKey']));
      for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z0-9]+$/);
      expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    });

    it('has a summary', () => {
      expect(operations().filter(({ summary }) => !/^[A-Z].{6,}[^.]$/.test(summary))).toEqual([]);
    });

    it('has one tag of the ordered list, and each tag has a description', () => {
      const tags = document.tags as { name: string; description: string }[];
      for (const { operationId, tags: own } of operations())
        expect([operationId, tags.filter(({ name }) => own.includes(name)).length]).toEqual([operationId, 1]);
      expect(tags.filter(({ description }) => !description)).toEqual([]);
    });

    it('has a success with a schema, unless it has no content', () => {
      for (const { operationId, responses } of operations()) {
        const successes = Object.entries(responses).filter(([status]) => Number(status) < 400);
        expect([operationId, successes.length]).not.toEqual([operationId, 0]);
        for (const [status, { content, description }] of successes)
          if (!['204', '303', '304'].includes(status) && description !== 'No content.')
            expect([operationId, Object.values(content ?? {})]).toEqual([
              operationId,
              expect.arrayContaining([{ schema: expect.any(Object) }]),
            ]);
      }
    });

    it('has its errors, each with the codes of docs/reference/errors.md', () => {
      const listed = [
        ...readFileSync('docs/reference/errors.md', 'utf8').matchAll(/^\| `([a-z0-9_]+)` \| (\d{3}) \|/gm),
      ].map(([, code, status]) => `${status} ${code}`);
      // oidc-provider validates the metadata of clients and chooses the code (RFC 7591 section 3.2.2).
      listed.push('422 invalid_client_metadata', '422 invalid_redirect_uri');
      const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(
        document.components.schemas.Problem,
      );
      for (const { operationId, security, requestBody, parameters, responses } of operations()) {
        const has = (name: string) => parameters.some((each) => each.name === name);
        const expected = {
          400: true,
          401: security.length > 0,
          422: Boolean(requestBody),
          428: has('If-Match'),
        };
        for (const [status, isExpected] of Object.entries(expected))
          if (isExpected)
            expect([operationId, Object.keys(responses)]).toEqual([
              operationId,
              expect.arrayContaining([status]),
            ]);
        for (const [status, response] of Object.entries(responses).filter(([each]) => Number(each) >= 400)) {
          const { schema, examples } = resolve(response).content['application/problem+json'];
          expect(schema).toEqual({ $ref: '#/components/schemas/Problem' });
          for (const [code, example] of Object.entries(examples as object)) {
            expect(listed).toContain(`${status} ${code}`);
            const { value } = resolve(example);
            expect([value.code, validate(value), validate.errors]).toEqual([code, true, null]);
          }
        }
      }
    });

    it('has the headers of its request and its responses', () => {
      const { paths } = document;
      const update = paths['/documents/{id}'].patch;
      expect(update.parameters).toContainEqual(
        expect.objectContaining({ name: 'If-Match', in: 'header', required: true }),
      );
      expect(paths['/documents/{id}'].get.parameters).toContainEqual(
        expect.objectContaining({ name: 'If-None-Match', in: 'header', required: false }),
      );
      expect(Object.keys(update.responses[200].headers)).toEqual(
        expect.arrayContaining(['X-Request-Id', 'ETag']),
      );
      expect(Object.keys(paths['/documents'].post.responses[201].headers)).toContain('Location');
      expect(Object.keys(update.responses[401].headers)).toContain('WWW-Authenticate');
      for (const status of [429, 503])
        expect(Object.keys(resolve(update.responses[status]).headers)).toContain('Retry-After');
    });

    it('has the media type of its body', () => {
      const forms = operations().filter(
        ({ requestBody }) => requestBody?.content['application/x-www-form-urlencoded'],
      );
      expect(forms.map(({ operationId }) => operationId)).toEqual(['receiveLogoutToken']);
    });
  });

  it('describes the fields of a problem', async () => {
    const problem = (await client(booted.origin).get('/nothing')).body;
    expect(Object.keys(problem).sort()).toEqual(document.components.schemas.Problem.required.toSorted());
  });
});

describe('GET /openapi', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('is a page that loads only this origin and has no inline script', async () => {
    const page = await client(booted.origin).get('/openapi');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(page.body).toContain('name="viewport" content="width=device-width, initial-scale=1"');
    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link as string);
    expect(links).toHaveLength(5);
    expect(page.body).not.toMatch(/<script>|<style>| on\w+=|style=/);
    for (const link of links) {
      const file = await client(booted.origin).get(link);
      expect([link, file.status]).toEqual([link, 200]);
      expect(file.headers.get('content-type')).toMatch(
        /^(text\/(css|javascript); charset=utf-8|image\/png)$/,
      );
      expect(file.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  describe('attacks', () => {
    it('serves no other file', async () => {
      for (const file of [
        'package.json',
        'swagger-ui.css.map',
        '..',
        '..%2fpackage.json',
        '%2e%2e',
        '__proto__',
        'toString',
        '../package.json',
      ])
        // Raw, because fetch would resolve `..` itself.
        expect([
          file,
          await client(booted.origin).raw(
            `GET /openapi/${file} HTTP/1.1`,
            'Host: a',
            'Connection: close',
            '',
            '',
          ),
        ]).toEqual([file, expect.stringMatching(/^HTTP\/1\.1 4\d\d /)]);
    });

    it('requires a credential for the document and its page in production', async () => {
      const production = await boot({
        env: { NODE_ENV: 'production', APP_SECRET: RANDOM_SECRET, PUBLIC_URL: 'https://api.atlas.test' },
        logTo: { write: () => {} },
      });
      try {
        for (const path of ['/openapi.json', '/openapi', '/openapi/page.js', '/openapi/swagger-ui.css']) {
          expect((await client(production.origin).get(path)).status).toBe(401);
          expect((await client(production.origin, as({ id: 'alice' })).get(path)).status).toBe(200);
        }
        expect((await client(production.origin).get('/openapi/swagger-ui-bundle.js.map')).status).toBe(401);
      } finally {
        await production.close();
      }
    });
  });
});
