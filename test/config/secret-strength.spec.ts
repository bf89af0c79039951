import { describe, expect, it } from '@jest/globals';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_SECRET } from '../../src/config/demo-settings.js';
import { isGuessable } from '../../src/config/secret-strength.js';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const from = (alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');

/** Secrets of common generators. */
const GENERATORS: Record<string, () => string> = {
  'openssl rand -base64 32': () => randomBytes(32).toString('base64'),
  'openssl rand -base64 24': () => randomBytes(24).toString('base64'),
  'openssl rand -hex 16': () => randomBytes(16).toString('hex'),
  'openssl rand -hex 32': () => randomBytes(32).toString('hex'),
  'base64url of 32 bytes': () => randomBytes(32).toString('base64url'),
  'base64 of 64 bytes': () => randomBytes(64).toString('base64'),
  'hexadecimal in capitals': () => randomBytes(16).toString('hex').toUpperCase(),
  'a UUID': () => randomUUID(),
  'two UUIDs': () => randomUUID() + randomUUID(),
  'a UUID without hyphens': () => randomUUID().replaceAll('-', ''),
  'letters and digits': () => from(LOWER + LOWER.toUpperCase() + '0123456789', 32),
  'lower-case letters': () => from(LOWER, 32),
  'lower-case letters and digits': () => from(`${LOWER}0123456789`, 32),
  base32: () => from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 32),
  'printable characters': () =>
    from(String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 33 + i)), 32),
};

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)],
  );

describe('the estimate of a secret', () => {
  it.each(Object.keys(GENERATORS))('accepts every secret of: %s', (name) => {
    const secrets = Array.from({ length: 200 }, GENERATORS[name]!);
    expect(secrets.filter(isGuessable)).toEqual([]);
  });

  it.each([
    DEMO_SECRET,
    'a'.repeat(32),
    `${'a'.repeat(31)}b`,
    'aaaaaaaabbbbbbbbccccccccdddddddd',
    'abababababababababababababababab',
    'abcabcabcabcabcabcabcabcabcabcabc',
    'reallyreallyreallyreallyverysafe',
    'passwordpasswordpasswordpassword',
    'Passw0rd!Passw0rd!Passw0rd!Passw0rd!',
    'my-super-secret-production-secret',
    'my-super-secret-key-for-production-2026',
    'thisisaverysecretsecretforproduction',
    'ThisIsMyVeryLongAndVerySecretApplicationKey',
    'one secret of thirty-two characters',
    'your-256-bit-secret-your-256-bit-secret',
    'keyboard cat keyboard cat keyboard cat',
    'changemechangemechangemechangeme',
    `demo-${randomUUID()}`,
    '12345678901234567890123456789012',
    '0123456789abcdef0123456789abcdef',
    'fedcba9876543210fedcba9876543210',
    '00112233445566778899aabbccddeeff',
    'a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6',
    'deadbeefdeadbeefdeadbeefdeadbeef',
    'abcdefghijklmnopqrstuvwxyz012345',
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
    'qwertyuiopasdfghjklzxcvbnm123456',
    'mysupersecretkey1234567890abcdef',
    'deadbeefcafebabefeedfacebaadf00d',
    '31415926535897932384626433832795',
    'asdfasdfasdfasdfasdfasdfasdfasdf',
    '1qaz2wsx1qaz2wsx1qaz2wsx1qaz2wsx',
    '2026-01-31-2026-01-31-2026-01-31',
    '00000000-0000-4000-8000-000000000000',
    Buffer.alloc(32).toString('base64'),
    Buffer.from('foobarbazquxquuxcorgegraultgarply').toString('base64'),
    Buffer.from('foobarbazquxquuxcorgegraultgarply').toString('hex'),
    Buffer.from(Array.from({ length: 32 }, (_, i) => i + 1)).toString('base64'),
  ])('rejects %s', (secret) => expect(isGuessable(secret)).toBe(true));

  it('rejects the secrets that stand in the source, the tests and the documentation', () => {
    const files = ['README.md', ...['src', 'test', 'docs'].flatMap(filesBelow)];
    const named =
      /\b(?:APP_SECRET(?:_PREVIOUS)?|DEMO_SECRET|JWT_HS256_SECRET)\s*[=:]\s*['"]?([^\s'"`$…]{32,})/g;
    const secrets = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(named)].map(([, secret]) => secret!),
    );
    expect(secrets).toContain(DEMO_SECRET);
    expect(secrets.filter((secret) => !isGuessable(secret))).toEqual([]);
  });
});
