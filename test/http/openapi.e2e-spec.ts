import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Injectable, Module, Post, Query, RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { PassportStrategy } from '@nestjs/passport';
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
          return path === undefined ? [] : [`${method} ${full.replace(/:(\w+)/g, '{$1}')}`];
        });
      });
    const documented = Object.entries(document.paths as object).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toContain('GET /me');
    expect(documented.sort()).toEqual(routes.filter((route) => !/^GET \/openapi(\/|$)/.test(route)).sort());
  });

  it('has a security scheme for each method that declares one', () => {
    const schemes = installed.flatMap(({ name, openapi }) => (openapi ? [[name, openapi]] : []));
    expect(document.components.securitySchemes).toEqual(Object.fromEntries(schemes));
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
    expect(post.responses).toMatchObject({ 401: problem, 422: problem, default: problem });
    expect(document.paths['/spec/open'].get.responses['401']).toBeUndefined();
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
