// Checks package-lock.json, before `npm ci` runs the code of its packages: each has a SHA-512 and is from the public registry.
import { readFileSync } from 'node:fs';

const REGISTRY = 'https://registry.npmjs.org/';
const SHA512 = /^sha512-[A-Za-z0-9+/]{86}==$/;

function faultOf([path, { version = '', resolved = REGISTRY, integrity = '', link }]) {
  const isFromRegistry = /^\d/.test(version) && resolved.startsWith(REGISTRY);
  if (link || !path.startsWith('node_modules/') || !isFromRegistry)
    return `${path} is not from the npm registry.`;
  return SHA512.test(integrity) ? undefined : `${path} has no SHA-512.`;
}

const { lockfileVersion, packages } = JSON.parse(
  readFileSync(process.argv[2] ?? 'package-lock.json', 'utf8'),
);
const { '': _project, ...installed } = packages;
const faults = Object.entries(installed)
  .map(faultOf)
  .filter((fault) => fault);
if (lockfileVersion !== 3) faults.push('The lock file must have version 3.');
if (!Object.keys(installed).length) faults.push('The lock file is empty.');
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
