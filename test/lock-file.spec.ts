import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

const SHA512 = /^sha512-[A-Za-z0-9+/]{86}==$/;

/** The packages that `npm ci` would install unverified, or from elsewhere than the public npm registry. */
const unverified = (packages: Readonly<Record<string, LockedPackage>>): string[] =>
  Object.entries(packages)
    .filter(([path]) => path !== '')
    .filter(
      ([path, { version = '', resolved, integrity = '', link }]) =>
        link ||
        !path.startsWith('node_modules/') ||
        !SHA512.test(integrity) ||
        !/^\d/.test(version) ||
        (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')),
    )
    .map(([path]) => path);

describe('the lock file', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    lockfileVersion: number;
    packages: Record<string, LockedPackage>;
  };

  it('has a SHA-512 for every package, and no package from elsewhere than the npm registry', () => {
    expect(lock.lockfileVersion).toBe(3);
    expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
    expect(unverified(lock.packages)).toEqual([]);
  });

  it.each<[string, LockedPackage]>([
    ['has no integrity', { version: '1.0.0' }],
    ['has a SHA-1', { version: '1.0.0', integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }],
    ['is from another host', { version: '1.0.0', resolved: 'https://registry.npmjs.org.evil.test/a.tgz' }],
    ['is fetched without TLS', { version: '1.0.0', resolved: 'http://registry.npmjs.org/a/-/a-1.0.0.tgz' }],
    ['is a git repository', { version: '1.0.0', resolved: 'git+ssh://git@github.com/a/a.git#abc' }],
    ['is a file', { version: 'file:a.tgz' }],
    ['is a link', { version: '1.0.0', link: true }],
  ])('is rejected if a package %s', (_, entry) => {
    const [, valid] = Object.entries(lock.packages).find(([, { integrity }]) => integrity)!;
    const { integrity = entry.resolved || entry.link ? valid.integrity! : undefined } = entry;
    const changed = { ...entry, ...(integrity && { integrity }) };
    expect(unverified({ 'node_modules/a': valid, 'node_modules/b': changed })).toEqual(['node_modules/b']);
  });
});
