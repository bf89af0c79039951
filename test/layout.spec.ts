import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import ts from 'typescript';

/** Who may import whom, from the top down: a folder imports only from folders in the layers below its own. */
const LAYERS = [
  ['main', 'cli'],
  ['app'],
  ['app.module'],
  ['policy'],
  ['demo', 'documents', 'methods', 'authorization-server'],
  ['access-tokens', 'passwords'],
  ['users'],
  ['audit'],
  ['authorization', 'rate-limits'],
  ['http'],
  ['authentication'],
  ['crypto'],
  ['database'],
  ['config', 'permissions'],
];
/** The folders and files that a method and the authorization server may import, besides their own. */
const FOR_METHODS = [
  'access-tokens',
  'authentication',
  'config',
  'crypto',
  'database',
  'passwords',
  'permissions',
  'rate-limits',
  'users',
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
const faceOf = (method: string) => readFileSync(join('src/methods', method, 'index.ts'), 'utf8');

const importsOf = (file: string) =>
  ts
    .createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
    .statements.filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement))
    .flatMap(({ moduleSpecifier }) =>
      moduleSpecifier && ts.isStringLiteral(moduleSpecifier) ? [moduleSpecifier.text] : [],
    );

/** Every import of one of our files from another, both relative to `src`. */
const edges = source.flatMap((file) =>
  importsOf(file)
    .filter((target) => target.startsWith('.'))
    .map((target) => ({
      from: relative('src', file),
      to: relative('src', normalize(join(dirname(file), target.replace(/\.js$/, '.ts')))),
    })),
);

const roomOf = (file: string) => file.split('/')[0]!.replace(/\.ts$/, '');
const methodOf = (file: string) => /^methods\/([^/]+)\//.exec(file)?.[1];
const layerOf = (file: string) => LAYERS.findIndex((rooms) => rooms.includes(roomOf(file)));

describe('the layout', () => {
  it('imports only in the open, at the top of a file', () => {
    for (const file of source) expect(readFileSync(file, 'utf8')).not.toMatch(/\b(?:import|require)\(/);
  });

  it('has a layer for every folder', () => {
    for (const file of source) expect([file, layerOf(relative('src', file))]).not.toEqual([file, -1]);
  });

  it('imports run down only', () => {
    const up = edges.filter(({ from, to }) => roomOf(from) !== roomOf(to) && layerOf(from) >= layerOf(to));
    expect(up).toEqual([]);
  });

  it('siblings never import each other, and a method knows only what it may', () => {
    const wrong = edges.filter(({ from, to }) => {
      const method = methodOf(from);
      if (!method || methodOf(to) === method) return false;
      return !FOR_METHODS.includes(roomOf(to));
    });
    expect(wrong).toEqual([]);
  });

  it('documents know no method, users no credential, and the first kernel nobody', () => {
    const from = (room: string) =>
      edges.filter((edge) => roomOf(edge.from) === room && roomOf(edge.to) !== room);
    expect(from('documents').filter(({ to }) => roomOf(to) === 'methods')).toEqual([]);
    expect(from('users').filter(({ to }) => ['passwords', 'methods'].includes(roomOf(to)))).toEqual([]);
    expect(from('authentication')).toEqual([]);
    expect(
      from('authorization').filter(({ to }) => !['authentication', 'crypto'].includes(roomOf(to))),
    ).toEqual([]);
    const orm = source.filter((file) => file.startsWith('src/authentication/')).flatMap(importsOf);
    expect(orm.filter((name) => /typeorm|casl/.test(name))).toEqual([]);
  });

  it('other folders enter a method only by its face', () => {
    const doors = edges.filter(({ from, to }) => methodOf(to) && methodOf(from) !== methodOf(to));
    for (const { from, to } of doors)
      expect([from, to]).toEqual(['methods/index.ts', `methods/${methodOf(to)}/index.ts`]);
    expect(new Set(doors.map(({ to }) => methodOf(to)))).toEqual(new Set(methods));
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

  it('namesake rule: a method has a folder, a test and a page, or none of them', () => {
    // A method with much to show has several files: `oauth.e2e-spec.ts`, `oauth.device.e2e-spec.ts`.
    const shown = namesIn('test/methods', '.e2e-spec.ts');
    expect(shown.filter((name) => !name.includes('.'))).toEqual(methods);
    expect([...new Set(shown.map((name) => name.split('.')[0]))]).toEqual(methods);
    expect(namesIn('docs/methods', '.md')).toEqual(methods);
  });

  it('a method that proves requests has a guard and a contract; a ceremony has neither', () => {
    const proving = methods.filter((method) => /^export\b.*\bstrategy\b/m.test(faceOf(method)));
    expect(namesIn('test/methods', '.contract.ts')).toEqual(proving);
    expect(methods.filter((method) => filesOf(method).includes(`${method}.guard.ts`))).toEqual(proving);
  });

  it('every method folder has the same file names, and the same face', () => {
    for (const method of methods) {
      const files = filesOf(method);
      for (const part of ['.ts', '.client.ts', '.controller.ts', '.module.ts'])
        expect(files).toContain(method + part);
      expect(files.includes(`${method}.entity.ts`)).toBe(files.includes(`${method}.migration.ts`));
      expect(faceOf(method)).toContain(`export const name = '${method}'`);
    }
  });

  it("a method itself stands on node's own modules and at most one library", () => {
    for (const method of methods) {
      const used = importsOf(join('src/methods', method, `${method}.ts`)).filter(
        (name) => !name.startsWith('node:'),
      );
      expect([method, used.length <= 1]).toEqual([method, true]);
    }
  });

  it('files are small', () => {
    const lines = (file: string) => readFileSync(file, 'utf8').split('\n').length - 1;
    expect(source.filter((file) => lines(file) > 250)).toEqual([]);
    expect(source.filter((file) => lines(file) > 120).length).toBeLessThan(source.length / 5);
  });

  it('links between pages lead somewhere', () => {
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
