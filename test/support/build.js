// Compiles the sources that are newer than their JavaScript in dist/, without a type check, which `npm run typecheck` does.
// Tests that start processes run dist/. Nothing changed: half a second; `npm run build` takes half a minute.
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transformFileSync } from '@swc/core';

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path))
    : [];
const timeOf = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const compilerTime = Math.max(timeOf('.swcrc'), timeOf('package-lock.json'));
const compiled = new Set();
for (const source of filesBelow('src').filter((path) => path.endsWith('.ts'))) {
  const target = join('dist', source.slice('src/'.length).replace(/\.ts$/, '.js'));
  compiled.add(target);
  if (timeOf(target) > Math.max(timeOf(source), compilerTime)) continue;
  mkdirSync(dirname(target), { recursive: true });
  const { code, map } = transformFileSync(source, { sourceMaps: true });
  writeFileSync(target, `${code}\n//# sourceMappingURL=${target.split('/').at(-1)}.map\n`);
  writeFileSync(`${target}.map`, map);
}

// A file that is gone from src/ goes from dist/ too. The benchmark compiles into dist/bench.
for (const target of filesBelow('dist').filter((path) => path.endsWith('.js')))
  if (!compiled.has(target) && !target.startsWith(join('dist', 'bench'))) rmSync(target);
