import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { as, boot, client, type Booted } from '../support/app.js';

/** Values of every type, including edge cases. Some are valid for fields of the API, so that they reach the handlers. */
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(
    ...[
      '',
      'draft',
      'published',
      'secret',
      'bob',
      'documents:read',
      '10.0.0.0/8',
      '2030-01-01T00:00:00Z',
      '"1"',
      '*',
    ],
    ...['__proto__', 'constructor', "' OR 1=1 --", '\0', '\ud800', '٣', 'ﬀ', '1e309', '-0', '9'.repeat(400)],
    ...[null, true, -0, 1e308, 2 ** 53, ['documents:read'], ['10.0.0.1'], { $ne: 1 }, [[[]]]],
  ),
);
const NAMES = [
  ...[
    'title',
    'body',
    'notes',
    'status',
    'classification',
    'level',
    'name',
    'scopes',
    'expiresAt',
    'allowedIps',
  ],
  ...['overlapSeconds', 'limit', 'cursor', 'sort', 'ownerId', 'id', 'toString', 'hasOwnProperty', 'then'],
];
const fields = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 20 })), value, {
  maxKeys: 5,
});
const segment = fc.oneof(
  fc.constantFrom('bob-draft-internal', 'alice-published-public', 'DemoKeyOfBob0000', 'carol', 'demo', 'me'),
  fc
    .string({ unit: 'binary', maxLength: 60 })
    .map((text) => encodeURIComponent(Buffer.from(text).toString())),
);
const header = fc.string({ unit: 'grapheme-ascii', maxLength: 200 }).map((text) => text.trim());

describe('generated requests to every route', () => {
  let booted: Booted;
  beforeAll(async () => (booted = await boot()));
  afterAll(() => booted.close());

  it('never cause a 5xx, and every rejection is a problem', async () => {
    const { body: api } = await client(booted.origin).get('/openapi.json');
    const operations = Object.entries(api.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
    );
    const callers = [
      as({ id: 'alice', roles: ['admin'] }),
      as({ id: 'bob', roles: ['editor'], scopes: ['documents:read', 'documents:write'] }),
      {},
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          operation: fc.constantFrom(...operations),
          caller: fc.constantFrom(...callers),
          segments: fc.array(segment, { minLength: 2, maxLength: 2 }),
          query: fc.option(fields),
          body: fc.option(fields),
          ifMatch: fc.option(fc.oneof(header, fc.constantFrom('*', '"1"'))),
          credential: fc.option(
            fc.record({ name: fc.constantFrom('X-API-Key', 'Authorization', 'Cookie'), text: header }),
          ),
        }),
        async ({ operation, caller, segments, query, body, ifMatch, credential }) => {
          let used = 0;
          const path = operation.path.replace(/\{\w+\}/g, () => segments[used++] ?? 'x');
          const text = new URLSearchParams(
            Object.entries(query ?? {}).map(([name, each]) => [
              name,
              String(typeof each === 'object' ? JSON.stringify(each) : each),
            ]),
          ).toString();
          const response = await client(booted.origin, caller).send(
            operation.method,
            path + (text && `?${text}`),
            {
              ...(operation.method !== 'GET' && body && { body }),
              headers: {
                ...(ifMatch !== null && { 'If-Match': ifMatch }),
                ...(credential && { [credential.name]: credential.text }),
              },
            },
          );
          expect(response.status).toBeLessThan(500);
          if (response.status < 400) return;
          expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
          expect(response.body).toMatchObject({
            status: response.status,
            code: expect.stringMatching(/^[a-z\d_]+$/),
          });
          expect(JSON.stringify(response.body)).not.toMatch(/SELECT|INSERT|node_modules|\.ts\b|at \w+ \(/);
        },
      ),
      { numRuns: 1500 },
    );
  });
});
