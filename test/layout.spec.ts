import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import ts from 'typescript';
import { ROLES, SCOPES } from '../src/permissions.js';

/** The layers from the top down. A folder or file of `src` imports only from the layers below its own. */
const LAYERS = [
  ['main', 'cli'],
  ['app'],
  ['app.module'],
  ['policy'],
  ['demo', 'accounts', 'documents', 'methods', 'authorization-server'],
  ['access-tokens', 'passwords'],
  ['users'],
  ['audit', 'mail'],
  ['authorization', 'rate-limits', 'pages'],
  ['http'],
  ['authentication'],
  ['crypto'],
  ['database'],
  ['config', 'permissions'],
];
/** A method or the authorization server imports only these, and its own folder. */
const ALLOWED_IN_METHODS = [
  'access-tokens',
  'authentication',
  'config',
  'crypto',
  'database',
  'mail',
  'pages',
  'passwords',
  'permissions',
  'rate-limits',
  'users',
];
const SERVER = 'authorization-server';
const MAX_SERVER_FILES = 45;
/** The subfolders of the authorization server, from the top down. All may import its settings. */
const SERVER_LAYERS = ['grants', 'consent', 'clients', 'pages', 'storage', 'provider'];

/** The libraries and files that code imports with `import()`. */
const LOADED_ON_FIRST_USE = [
  './openapi-document.js',
  './passkey.attestation.js',
  './passkey.keys.js',
  '@nestjs/platform-express',
  '@nestjs/platform-fastify',
  '@simplewebauthn/server',
  '@zxcvbn-ts/language-common',
  'express',
  'nodemailer',
  'oidc-provider',
  'oidc-provider/lib/helpers/grants.js',
  'undici',
];

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
const namesIn = (folder: string, ending: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();

const source = filesBelow('src').filter((file) => file.endsWith('.ts'));
const methods = readdirSync('src/methods')
  .filter((name) => name !== 'index.ts')
  .sort();

const filesOf = (method: string) => readdirSync(join('src/methods', method));
const indexOf = (method: string) => readFileSync(join('src/methods', method, 'index.ts'), 'utf8');

const dynamicImportsOf = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(/(?<!typeof )\b(?:import|require)\('(.*?)'/g)].map(
    ([, target]) => target!,
  );

const importsOf = (file: string) =>
  ts
    .createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
    .statements.filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement))
    .flatMap(({ moduleSpecifier }) =>
      moduleSpecifier && ts.isStringLiteral(moduleSpecifier) ? [moduleSpecifier.text] : [],
    )
    .concat(dynamicImportsOf(file));

/** Every import of one source file by another, both relative to `src`. */
const edges = source.flatMap((file) =>
  importsOf(file)
    .filter((target) => target.startsWith('.'))
    .map((target) => ({
      from: relative('src', file),
      to: relative('src', normalize(join(dirname(file), target.replace(/\.js$/, '.ts')))),
    })),
);

const folderOf = (file: string) => file.split('/')[0]!.replace(/\.ts$/, '');
const methodOf = (file: string) => /^methods\/([^/]+)\//.exec(file)?.[1];
const layerOf = (file: string) => LAYERS.findIndex((folders) => folders.includes(folderOf(file)));
/** The imports of a folder's files from other folders. */
const importsFrom = (folder: string) =>
  edges.filter(({ from, to }) => folderOf(from) === folder && folderOf(to) !== folder);

describe('the layout', () => {
  it('has dynamic imports of the large parts only', () => {
    expect(new Set(source.flatMap(dynamicImportsOf))).toEqual(new Set(LOADED_ON_FIRST_USE));
  });

  it('has a layer for every folder', () => {
    expect(source.filter((file) => layerOf(relative('src', file)) === -1)).toEqual([]);
  });

  it('imports only from lower layers', () => {
    const up = edges.filter(
      ({ from, to }) => folderOf(from) !== folderOf(to) && layerOf(from) >= layerOf(to),
    );
    expect(up).toEqual([]);
  });

  it('methods and the authorization server import only the folders allowed to them, and no other method', () => {
    const wrong = edges.filter(({ from, to }) => {
      const own = methodOf(from) ?? (folderOf(from) === SERVER ? SERVER : undefined);
      if (!own || (methodOf(to) ?? folderOf(to)) === own) return false;
      return !ALLOWED_IN_METHODS.includes(folderOf(to));
    });
    expect(wrong).toEqual([]);
  });

  it('documents import no method, users no credential, and the authentication kernel no other folder', () => {
    const foldersFrom = (folder: string) => importsFrom(folder).map(({ to }) => folderOf(to));
    expect(foldersFrom('documents')).not.toContain('methods');
    expect(foldersFrom('users')).not.toContain('passwords');
    expect(foldersFrom('users')).not.toContain('methods');
    expect(importsFrom('authentication')).toEqual([]);
    expect(
      foldersFrom('authorization').filter(
        (folder) => !['authentication', 'crypto', 'database'].includes(folder),
      ),
    ).toEqual([]);
    const libraries = filesBelow('src/authentication').flatMap(importsOf);
    expect(libraries.filter((name) => /typeorm|casl/.test(name))).toEqual([]);
  });

  it('the kernels contain no role, scope, authorization detail type or name of the documents domain', () => {
    const words = [...ROLES, ...SCOPES].map((word) => `['"\`]${word}['"\`]`);
    const domain = new RegExp(`${words.join('|')}|\\bdocuments?\\b`, 'i');
    const found = [...filesBelow('src/authentication'), ...filesBelow('src/authorization')].flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        // Comments may give examples.
        .filter((line) => domain.test(line) && !/^\s*(?:\*|\/\*|\/\/)/.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });

  it('other folders import a method only through its index.ts', () => {
    const outside = edges.filter(({ from, to }) => methodOf(to) && methodOf(from) !== methodOf(to));
    for (const { from, to } of outside)
      expect([from, to]).toEqual(['methods/index.ts', `methods/${methodOf(to)}/index.ts`]);
    expect(new Set(outside.map(({ to }) => methodOf(to)))).toEqual(new Set(methods));
  });

  it('other folders import the authorization server only through its index.ts', () => {
    const outside = edges.filter(({ from, to }) => folderOf(to) === SERVER && folderOf(from) !== SERVER);
    expect(new Set(outside.map(({ to }) => to))).toEqual(new Set([`${SERVER}/index.ts`]));
    expect(outside.map(({ from }) => from).sort()).toEqual(['app.module.ts', 'main.ts']);
  });

  it('the subfolders of the authorization server import down only', () => {
    const subfolderOf = (file: string) => new RegExp(`^${SERVER}/([^/]+)/`).exec(file)?.[1];
    const layer = (file: string) => SERVER_LAYERS.indexOf(subfolderOf(file) ?? '');
    const inside = edges.filter(({ from, to }) => subfolderOf(from) && folderOf(to) === SERVER);
    expect(inside.filter(({ from }) => layer(from) < 0)).toEqual([]);
    const up = inside.filter(({ from, to }) =>
      subfolderOf(to)
        ? subfolderOf(from) !== subfolderOf(to) && layer(from) >= layer(to)
        : to !== `${SERVER}/${SERVER}.config.ts`,
    );
    expect(up).toEqual([]);
  });

  it('has no import cycle', () => {
    const next = new Map<string, string[]>();
    for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to]);
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(path).not.toContain(file);
      if (done.has(file)) return;
      for (const target of next.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of next.keys()) visit(file, []);
  });

  it('a method has a folder, a test and a page of the same name', () => {
    // A method may have more test files: `oauth.e2e-spec.ts`, `oauth.issuers.e2e-spec.ts`.
    const tests = namesIn('test/methods', '.e2e-spec.ts');
    expect(tests.filter((name) => !name.includes('.'))).toEqual(methods);
    expect([...new Set(tests.map((name) => name.split('.')[0]))]).toEqual(methods);
    expect(namesIn('docs/methods', '.md')).toEqual(methods);
  });

  it('a method with a strategy has a guard and a contract; a ceremony has neither', () => {
    const withStrategy = methods.filter((method) => /^export\b.*\bstrategy\b/m.test(indexOf(method)));
    expect(namesIn('test/methods', '.contract.ts')).toEqual(withStrategy);
    expect(methods.filter((method) => filesOf(method).includes(`${method}.guard.ts`))).toEqual(withStrategy);
  });

  it('every method folder has the same file names', () => {
    for (const method of methods) {
      const files = filesOf(method);
      for (const part of ['.ts', '.client.ts', '.controller.ts', '.module.ts'])
        expect(files).toContain(method + part);
      expect(files.includes(`${method}.entity.ts`)).toBe(files.includes(`${method}.migration.ts`));
      expect(indexOf(method)).toContain(`export const name = '${method}'`);
    }
  });

  it('a method whose controller changes something has a service', () => {
    const without = methods.filter((method) => {
      const controller = readFileSync(join('src/methods', method, `${method}.controller.ts`), 'utf8');
      const manages = /@(?:Post|Put|Patch|Delete)\(/.test(controller);
      return manages && !filesOf(method).includes(`${method}.service.ts`);
    });
    expect(without).toEqual([]);
  });

  it("the file named after a method imports only Node's modules and at most one library", () => {
    for (const method of methods) {
      const used = importsOf(join('src/methods', method, `${method}.ts`)).filter(
        (name) => !name.startsWith('node:'),
      );
      expect([method, new Set(used).size <= 1]).toEqual([method, true]);
    }
  });

  it('migration numbers are unique, and increase in the order in which a folder registers them', () => {
    const text = source.map((file) => readFileSync(file, 'utf8')).join('\n');
    const declared = [...text.matchAll(/^export class (\w+\d{13}) implements/gm)].map(([, name]) => name!);
    const lists = [...text.matchAll(/\bmigrations(?:: | = )\[([^\]]*)\]/g)].map(([, list]) => list!);
    const registered = lists.map((list) => [...list.matchAll(/\b\w+\d{13}\b/g)].map(([name]) => name));
    const numberOf = (name: string) => Number(name.slice(-13));
    expect(registered.flat().toSorted()).toEqual(declared.toSorted());
    expect(new Set(declared.map(numberOf)).size).toBe(declared.length);
    for (const names of registered.map((list) => list.map(numberOf)))
      expect(names).toEqual(names.toSorted((a, b) => a - b));
    for (const name of declared) expect(text).toContain(`  name = '${name}'`);
  });

  it('files are small', () => {
    const lines = (file: string) => readFileSync(file, 'utf8').split('\n').length - 1;
    expect(source.filter((file) => lines(file) > 250)).toEqual([]);
    expect(source.filter((file) => lines(file) > 150).length).toBeLessThan(source.length / 7);
    expect(filesBelow(`src/${SERVER}`).length).toBeLessThanOrEqual(MAX_SERVER_FILES);
  });

  it('has no broken link between pages', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...filesBelow('docs')];
    const broken = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
        .map(([, target]) => join(dirname(page), target!))
        .filter((target) => !existsSync(target))
        .map((target) => `${page} -> ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
