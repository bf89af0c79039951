import type { Load } from './load.js';
import type { Route } from './measure.js';
import {
  CLIENT,
  CLIENT_SECRET,
  lazily,
  startApplication,
  startContestant,
  type Application,
  type Contestant,
  type Size,
} from './servers.js';

/** The methods whose requests can be repeated, and those that sign each request anew. */
const REUSABLE = ['session', 'jwt', 'basic'];
const SIGNING = ['digest', 'dpop', 'hmac', 'http-signature', 'sigv4', 'webhook'];
const MANY_ROWS = 1_000_000;

const application = (size: Size) => lazily(() => startApplication(size));
const QUICK: Size = { documents: 1_000, many: { 'api-key': 10_000 } };
const FULL: Size = { documents: 1_000, many: { 'api-key': 100_000, jwt: 15_000 } };

type Headers = Load['headers'][number];

const bare = (name: string, { server, origin, headers }: Contestant): Route => ({
  name,
  server,
  load: { url: origin, headers: [headers] },
});

const route = (
  name: string,
  { server, origin }: Pick<Application, 'server' | 'origin'>,
  path: string,
  headers: readonly Headers[] = [{}],
): Route => ({ name, server, load: { url: origin + path, headers } });

/** A route whose requests work once. */
function signedRoute(name: string, app: Application, path: string, method: string, body?: string): Route {
  const { load, ...rest } = route(name, app, path);
  const request = { method, url: load.url, ...(body !== undefined && { body }) };
  const sign = async (count: number) =>
    (await app.signer.ask<{ headers: Headers[] }>({ ...request, count })).headers;
  return { ...rest, load: { ...load, ...(body !== undefined && { body }) }, sign };
}

/** The tables of the benchmark, by name, and their titles on the page. */
export const TITLES = {
  routes: 'Routes',
  signed: 'GET, each request signed anew',
  posts: 'POST of 250 bytes',
  tls: 'GET over TLS, keep-alive',
  tokens: 'POST of client credentials, for a token',
  pages: 'GET /documents, 20 of 1,000',
  rows: 'A page, by the number of rows',
  keys: 'An API key, by the number of keys',
} as const;

export type TableName = keyof typeof TITLES;

/** The routes of each table. A table starts the servers that it needs. */
export class Tables implements Record<TableName, () => Promise<Route[]>> {
  private readonly nodeHttp = lazily(() => startContestant('node-http'));
  private readonly app: () => Promise<Application>;
  private readonly largeApp = application({ documents: MANY_ROWS, many: { 'api-key': MANY_ROWS } });

  constructor(private readonly isQuick: boolean) {
    this.app = application(isQuick ? QUICK : FULL);
  }

  /** The routes whose cost is divided into steps, on one application. */
  async steps(): Promise<{ app: Application; loads: Record<string, Load> }> {
    const [, ...routes] = await this.check();
    return { app: await this.app(), loads: Object.fromEntries(routes.map(({ name, load }) => [name, load])) };
  }

  /** The routes of the CI step. */
  async check(): Promise<Route[]> {
    const app = await this.app();
    return [
      await this.baseline(),
      route('open', app, '/unguarded/demo'),
      route('api-key', app, '/demo/api-key', app.many['api-key']),
      route('page', app, '/documents', [app.reusable['session']!]),
    ];
  }

  async routes(): Promise<Route[]> {
    const app = await this.app();
    const [open, apiKey, page] = (await this.check()).slice(1);
    const { reusable, many } = app;
    const methods = this.isQuick ? REUSABLE : [...REUSABLE, 'oauth', 'oauth, opaque'];
    const firstSeen = this.isQuick ? [] : [route('jwt, first seen', app, '/demo/jwt', many['jwt'])];
    return [
      await this.baseline(),
      bare('Nest on Fastify', await startContestant('nest', 'fastify')),
      bare('Nest on Express', await startContestant('nest', 'express')),
      bare('JWT recipe on Fastify', await startContestant('nest-jwt', 'fastify')),
      bare('JWT recipe on Express', await startContestant('nest-jwt', 'express')),
      bare('HeaderAPIKey recipe on Fastify', await startContestant('nest-header-api-key', 'fastify')),
      bare('HeaderAPIKey recipe on Express', await startContestant('nest-header-api-key', 'express')),
      open!,
      apiKey!,
      ...methods.map((name) => route(name, app, `/demo/${name.split(',')[0]}`, [reusable[name]!])),
      ...firstSeen,
      page!,
    ];
  }

  async signed(): Promise<Route[]> {
    const app = await this.app();
    return [
      await this.baseline(),
      route('open', app, '/unguarded/demo'),
      ...SIGNING.map((method) => signedRoute(method, app, `/demo/${method}`, method)),
    ];
  }

  async posts(): Promise<Route[]> {
    const app = await this.app();
    const body = JSON.stringify({ title: 'A signed body', body: 'x'.repeat(200) });
    const open = route('open', app, '/unguarded/demo', [{ 'Content-Type': 'application/json' }]);
    return [
      await this.baseline(),
      { ...open, load: { ...open.load, body } },
      ...['hmac', 'http-signature'].map((method) =>
        signedRoute(method, app, '/signed-in/demo', method, body),
      ),
    ];
  }

  async tls(): Promise<Route[]> {
    const app = await this.app();
    const { origin, options } = app.tls!;
    const secure = (name: string, path: string, tls: NonNullable<Load['tls']>, headers: Headers = {}) => ({
      ...{ name, server: app.server },
      load: { url: origin + path, headers: [headers], tls },
    });
    return [
      await this.baseline(),
      secure('open', '/unguarded/demo', { ca: options.ca }),
      secure('open, with a certificate', '/unguarded/demo', options),
      secure('mtls', '/demo/mtls', options),
      secure('basic', '/demo/basic', { ca: options.ca }, app.reusable['basic']),
    ];
  }

  async tokens(): Promise<Route[]> {
    const app = await this.app();
    const credentials = Buffer.from(`${CLIENT}:${CLIENT_SECRET}`).toString('base64');
    const headers = [
      { Authorization: `Basic ${credentials}`, 'Content-Type': 'application/x-www-form-urlencoded' },
    ];
    const body = 'grant_type=client_credentials&scope=documents%3Aread';
    const engine = await startContestant('oidc-provider', CLIENT_SECRET);
    const token = (name: string, server: Pick<Application, 'server' | 'origin'>, path: string) => {
      const { load, ...rest } = route(name, server, path, headers);
      return { ...rest, load: { ...load, body } };
    };
    return [
      await this.baseline(),
      token('oidc-provider alone', engine, '/token'),
      token('POST /oidc/token', app, '/oidc/token'),
    ];
  }

  async pages(): Promise<Route[]> {
    const app = await this.app();
    const session = [app.reusable['session']!];
    return [
      await this.baseline(),
      route('same SQL, open', app, '/unguarded/documents'),
      route('same SQL, authenticated', app, '/signed-in/documents', session),
      route('session', app, '/documents', session),
    ];
  }

  async rows(): Promise<Route[]> {
    const [app, large] = [await this.app(), await this.largeApp()];
    const session = [large.reusable['session']!];
    return [
      await this.baseline(),
      route('1,000 documents', app, '/documents', [app.reusable['session']!]),
      route('1,000,000 documents', large, '/documents', session),
      route('1,000,000 documents, owner of a tenth', large, '/documents?ownerId=bob', session),
    ];
  }

  async keys(): Promise<Route[]> {
    const [app, large] = [await this.app(), await this.largeApp()];
    return [
      await this.baseline(),
      route('1,000 keys', app, '/demo/api-key', app.many['api-key']!.slice(0, 1_000)),
      route('1,000,000 keys', large, '/demo/api-key', large.many['api-key']!.slice(0, 100_000)),
    ];
  }

  private async baseline(): Promise<Route> {
    return bare('node:http', await this.nodeHttp());
  }
}
