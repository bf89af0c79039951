import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { boot, client, type Booted } from '../support/app.js';

describe('GET /', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  const get = (accept?: string) => client(booted.origin).get('/', accept ? { Accept: accept } : undefined);

  it('describes the application and links to its documentation as JSON', async () => {
    const { status, headers, body } = await get();
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('vary')).toBe('Accept, Origin');
    expect(body).toEqual({
      name: 'Auth Atlas',
      description: expect.stringContaining('authenticate an HTTP API'),
      links: { api: '/openapi', openapi: '/openapi.json', methods: '/methods', docs: 'docs/index.md' },
    });
  });

  it('returns a page to a browser, which may load nothing but its own style', async () => {
    const { status, headers, body } = await get('text/html,application/xhtml+xml,*/*;q=0.8');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/]+='; frame-ancestors 'none'$/,
    );
    expect(body).toContain('<h1>Auth Atlas</h1>');
    for (const link of ['/openapi', '/methods']) expect(body).toContain(`<a href="${link}">`);
  });

  it('links to routes that exist', async () => {
    for (const link of ['/openapi', '/openapi.json', '/methods'])
      expect((await client(booted.origin).get(link)).status).toBe(200);
  });

  it.each(['application/json', '*/*', 'application/json;q=0.9,text/html;q=0.1', 'image/png'])(
    'returns JSON for Accept: %s',
    async (accept) => {
      expect((await get(accept)).headers.get('content-type')).toMatch(/^application\/json/);
    },
  );
});
