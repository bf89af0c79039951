import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import { DataSource } from 'typeorm';
import { DEMO_KEY } from '../../src/methods/api-key/api-key.demo.js';
import { LIFTING_PAGE, liftedFiles } from '../support/copies/blank.js';
import { GeneratedApplication, connects } from '../support/copies/nest-cli.js';

const page = readFileSync(LIFTING_PAGE, 'utf8');
const copyCommand = /^```text\n(npx tsc [\s\S]*?)\n```/m.exec(page)![1]!;
const listedPackages = /^npm install (.*)$/m.exec(page)![1]!.split(' ');

const packageOf = (specifier: string) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)![1]!;

/** The packages that these files import, except those of Node. */
const packagesOf = (files: readonly string[]) =>
  new Set(
    files
      .flatMap((file) => ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles)
      .map(({ fileName }) => fileName)
      .filter((specifier) => !/^(\.|node:)/.test(specifier))
      .map(packageOf),
  );

describe('API keys in an application of the Nest CLI, by the steps of the page', () => {
  const application = new GeneratedApplication();
  afterAll(() => application.remove());

  let generated: string[];
  let port: number;
  let key: string;
  const status = async (path: string, sent?: string, init: RequestInit = {}) => {
    const headers = { 'Content-Type': 'application/json', ...(sent && { 'X-API-Key': sent }) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers });
    await response.arrayBuffer();
    return response.status;
  };

  beforeAll(async () => {
    await application.generate();
    application.install(listedPackages);
    generated = application.files();
    await application.copyBy(copyCommand);
  }, 300_000);

  it('copies the files that the method and the module import', () => {
    const copied = application.files().filter((file) => !generated.includes(file));
    expect(copied.sort()).toEqual(liftedFiles(['api-key']));
  });

  it('installs the packages that the files import, the database driver and the peer of @nestjs/passport', () => {
    const present = application.packages();
    const imported = [
      ...packagesOf(liftedFiles(['api-key'])),
      'better-sqlite3',
      'passport',
      '@nestjs/typeorm',
    ];
    const missing = new Set(imported.filter((name) => !present.includes(name)));
    expect(listedPackages).toEqual([...missing].sort());
  });

  describe('with the guard on every route', () => {
    beforeAll(async () => {
      application.replace('src/app.module.ts', /\/\/ for /);
      application.replace('src/main.ts');
      application.replace('src/create-first-key.ts');
      await application.run(resolve('node_modules/@nestjs/cli/bin/nest.js'), ['build']);
      key = await application.run('dist/create-first-key.js');
      port = await application.start('dist/main.js');
    }, 300_000);

    it('rejects an anonymous request with the challenge', async () => {
      const response = await fetch(`http://127.0.0.1:${port}/demo/api-key`);
      expect(response.status).toBe(401);
      expect(response.headers.get('WWW-Authenticate')).toBe('ApiKey realm="auth-atlas"');
    });

    it('rejects the published key of the demo', async () => {
      expect(await status('/demo/api-key', DEMO_KEY)).toBe(401);
    });

    it('accepts the key that the program of the page creates, which creates further keys', async () => {
      expect(await status('/demo/api-key', key)).toBe(200);
      const body = JSON.stringify({ name: 'second key' });
      expect(await status('/api-keys', key, { method: 'POST', body })).toBe(201);
      expect(await status('/api-keys', key, { method: 'POST', body: '{}' })).toBe(400);
    });

    it('closes the generated route', async () => {
      expect(await status('/')).toBe(401);
      expect(await status('/', key)).toBe(200);
    });

    it('listens on 127.0.0.1 only', async () => {
      expect(await connects('127.0.0.1', port)).toBe(true);
      expect(await connects('127.0.0.2', port)).toBe(false);
      expect(await connects('::1', port)).toBe(false);
    });
  });

  describe('with guards on single routes, and its own table of accounts', () => {
    const env = { DATABASE_FILE: 'accounts.sqlite' };

    beforeAll(async () => {
      application.replace('src/app.module.ts', /\/\/ for |provide: APP_GUARD/);
      application.copy('src/methods/api-key/api-key.guard.ts');
      application.edit('src/app.controller.ts');
      application.edit('src/methods/api-key/api-key.controller.ts');
      application.replace('src/create-first-key.ts', /Tenant|manager/);
      application.edit('src/users/user.entity.ts');
      application.replace('src/users/users.migration.ts');
      // Also compiles the generated tests.
      await application.run(resolve('node_modules/typescript/bin/tsc'), ['--outDir', 'single']);
      const database = new DataSource({
        type: 'better-sqlite3',
        database: application.path(env.DATABASE_FILE),
      });
      await database.initialize();
      await database.query(
        'CREATE TABLE accounts (id varchar(36) PRIMARY KEY, email text, disabled_at datetime)',
      );
      await database.query(`INSERT INTO accounts VALUES ('ann', 'ann@example.com', NULL)`);
      await database.destroy();
      key = await application.run('single/src/create-first-key.js', [], env);
      port = await application.start('single/src/main.js', env);
    }, 300_000);

    it('closes the route that has the guard of the method', async () => {
      expect(await status('/')).toBe(401);
      expect(await status('/', key)).toBe(200);
    });

    it("closes the method's own routes, which work with a key", async () => {
      expect(await status('/api-keys')).toBe(401);
      const body = JSON.stringify({ name: 'second key' });
      expect(await status('/api-keys', key, { method: 'POST', body })).toBe(201);
      expect(await status('/demo/api-key', key)).toBe(200);
    });

    it('compiles the generated tests', () => {
      expect(application.has('single/src/app.controller.spec.js')).toBe(true);
      expect(application.has('single/test/app.e2e-spec.js')).toBe(true);
    });
  });
});
