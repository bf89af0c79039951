import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from '../support/processes.js';

/** Packages that most processes never use. They are a quarter of the time and memory of a start that loads them. */
const LARGE = [
  '@nestjs/swagger',
  '@simplewebauthn/server',
  '@zxcvbn-ts/language-common',
  'ajv',
  'koa',
  'nodemailer',
  'pg',
  'undici',
  process.env['HTTP_ADAPTER'] === 'express' ? 'fastify' : 'express',
];

describe('the built server', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-packages-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Node writes the URL of every script that a process has loaded to the folder NODE_V8_COVERAGE. */
  async function packagesAfter(...paths: readonly string[]): Promise<Set<string>> {
    const scripts = join(folder, `scripts-${paths.length}`);
    const server = Server.start({
      DATA_DIR: join(folder, 'data'),
      DEMO: 'true',
      NODE_V8_COVERAGE: scripts,
    });
    const origin = await server.origin();
    for (const path of paths) expect([path, (await fetch(origin + path)).status]).toEqual([path, 200]);
    await server.stop();
    const [report] = readdirSync(scripts);
    const { result } = JSON.parse(readFileSync(join(scripts, report!), 'utf8')) as {
      result: readonly { url: string }[];
    };
    return new Set(
      result.flatMap(({ url }) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []),
    );
  }

  it('loads no large package before a request needs it', async () => {
    const packages = await packagesAfter('/health/ready');
    expect(packages).toContain('typeorm');
    expect(LARGE.filter((name) => packages.has(name))).toEqual([]);
  });

  it('loads the OAuth engine and the package for OpenAPI for their first request', async () => {
    const packages = await packagesAfter('/oidc/jwks', '/openapi.json');
    expect(LARGE.filter((name) => packages.has(name))).toEqual(['@nestjs/swagger', 'koa']);
  });
});
