import { afterAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface LockedPackage {
  readonly version: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

const integrity = `sha512-${'A'.repeat(86)}==`;

describe('the lock file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-lock-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const check = (...file: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, ['test/lock-check.js', ...file]);
    return { status, errors: stderr.toString() };
  };
  const checkPackages = (packages: Record<string, LockedPackage | object>, lockfileVersion = 3) => {
    const file = join(folder, 'lock.json');
    writeFileSync(file, JSON.stringify({ lockfileVersion, packages: { '': {}, ...packages } }));
    return check(file);
  };
  const valid = { version: '1.0.0', integrity };

  it('has a SHA-512 for every package, and no package from elsewhere than the npm registry', () => {
    expect(check()).toEqual({ status: 0, errors: '' });
  });

  it('is accepted with and without the URLs of the registry', () => {
    const resolved = 'https://registry.npmjs.org/a/-/a-1.0.0.tgz';
    const packages = { 'node_modules/a': valid, 'node_modules/@x/b': { ...valid, resolved } };
    expect(checkPackages(packages)).toEqual({ status: 0, errors: '' });
  });

  it.each<[string, LockedPackage]>([
    ['has no integrity', { version: '1.0.0' }],
    ['has a SHA-1', { version: '1.0.0', integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }],
    ['also has a SHA-1', { version: '1.0.0', integrity: `${integrity} sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=` }],
    ['is from another host', { ...valid, resolved: 'https://registry.npmjs.org.evil.test/a.tgz' }],
    ['is fetched without TLS', { ...valid, resolved: 'http://registry.npmjs.org/a/-/a-1.0.0.tgz' }],
    ['is a git repository', { ...valid, resolved: 'git+ssh://git@github.com/a/a.git#abc' }],
    ['is a file', { ...valid, version: 'file:a.tgz' }],
    ['is a link', { ...valid, link: true }],
  ])('is rejected if a package %s', (_, entry) => {
    const { status, errors } = checkPackages({ 'node_modules/a': valid, 'node_modules/b': entry });
    expect(status).toBe(1);
    expect(errors).toMatch(/^node_modules\/b (?:is not from the npm registry|has no SHA-512)\.\n$/);
  });

  it('is rejected if a package is outside of node_modules, it is empty or of another version', () => {
    expect(checkPackages({ 'packages/a': valid }).status).toBe(1);
    expect(checkPackages({}).status).toBe(1);
    expect(checkPackages({ 'node_modules/a': valid }, 1).status).toBe(1);
  });
});
