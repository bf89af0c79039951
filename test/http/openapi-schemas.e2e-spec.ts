import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { MAX_BODY_BYTES } from '../../src/http/request-body.js';
import { as, boot, client, type Booted } from '../support/app.js';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly anyOf?: readonly Schema[];
  readonly not?: object;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly example?: Readonly<Record<string, unknown>>;
  readonly description?: string;
}

interface Operation {
  readonly requestBody?: { content: object };
  readonly security: readonly object[];
}

/** Values at and beyond each limit of a schema, and values of all other types. */
function boundaryValues({
  minLength = 0,
  maxLength,
  minimum,
  maximum,
  minItems = 0,
  maxItems,
  items,
}: Schema) {
  const lengths = [minLength - 1, minLength, ...(maxLength === undefined ? [] : [maxLength, maxLength + 1])];
  const texts = lengths.filter((n) => n >= 0).flatMap((n) => ['x'.repeat(n), '😀'.repeat(n), ' '.repeat(n)]);
  const numbers = [minimum, maximum].flatMap((n) => (n === undefined ? [] : [n - 1, n, n + 1]));
  const counts = [minItems - 1, minItems, ...(maxItems === undefined ? [] : [maxItems, maxItems + 1])];
  const item = (items as { enum?: unknown[] } | undefined)?.enum?.[0] ?? 'x';
  const lists = counts.filter((n) => n >= 0).map((n) => Array.from({ length: n }, () => item));
  return [...texts, 'a\0b', ' a ', ...numbers, 0, 1.5, true, null, {}, [1], ['x'], ...lists];
}

describe('the schemas of request bodies', () => {
  let booted: Booted;
  // oxlint-disable-next-line typescript/no-explicit-any -- a document of any shape
  let document: any;
  const ajv = formats.default(new Ajv2020({ strict: false }));
  beforeAll(async () => {
    booted = await boot();
    document = (await client(booted.origin).get('/openapi.json')).body;
    ajv.addSchema(document, 'openapi');
  });
  afterAll(() => booted.close());

  const resolve = (schema: Schema): Schema =>
    schema.$ref ? (document.components.schemas[schema.$ref.split('/').at(-1)!] as Schema) : schema;
  const bodies = () =>
    Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([verb, { requestBody, security }]) => {
        // The tests' own credential opens all other routes.
        if (security.length && !security.some((each) => 'test' in each)) return [];
        const content = requestBody?.content as Record<string, { schema: Schema }> | undefined;
        const { schema } = content?.['application/json'] ?? {};
        return schema ? [{ path, verb, reference: schema.$ref!, schema: resolve(schema) }] : [];
      }),
    );

  it('have a name and an example that is valid', () => {
    expect(bodies().length).toBeGreaterThan(15);
    for (const { path, verb, reference, schema } of bodies()) {
      expect([verb, path, reference]).toEqual([verb, path, expect.any(String)]);
      const validate = ajv.getSchema(`openapi${reference}`)!;
      expect([verb, path, schema.example, validate(schema.example), validate.errors]).toEqual([
        verb,
        path,
        expect.any(Object),
        true,
        null,
      ]);
    }
  });

  it('have names that no generated constructor has, such as NewDocument in Go', () => {
    expect(
      Object.keys(document.components.schemas as object).filter((name) => name.startsWith('New')),
    ).toEqual([]);
  });

  it('accept and reject the values at each limit as the server does', async () => {
    const admin = client(booted.origin, as({ id: 'alice', roles: ['admin'] }));
    const differences: string[] = [];
    for (const { path, verb, reference, schema } of bodies()) {
      const validate = ajv.getSchema(`openapi${reference}`)!;
      const target = path.replace(/\{\w+\}/g, 'none');
      const { properties = {}, additionalProperties, required = [] } = schema;
      const example = schema.example!;
      const variants: [string, unknown, boolean][] = [
        ['(all)', [], false],
        ['(unknown)', { ...example, unknown: 1 }, false],
        ...required.map((field): [string, unknown, boolean] => {
          const { [field]: _omitted, ...rest } = example;
          return [field, rest, false];
        }),
        ...Object.entries(properties).flatMap(([field, each]) =>
          boundaryValues(resolve(each)).map((value): [string, unknown, boolean] => [
            field,
            { ...example, [field]: value },
            // Some rules are not about the form of a value: a date in the future, the strength of a key.
            /The server checks more/.test(JSON.stringify(each)),
          ]),
        ),
      ];
      for (const [field, body, isPartial] of variants) {
        if (field === '(unknown)' && additionalProperties !== false) continue;
        const { status, body: answer } = await admin.send(verb.toUpperCase(), target, { body });
        const isAccepted = !(
          status === 422 &&
          answer.code === 'invalid_body' &&
          answer.detail === 'The body is invalid.'
        );
        const isValid = validate(body);
        if (isAccepted === isValid || (isPartial && isValid && !isAccepted)) continue;
        const value = JSON.stringify(body).slice(0, 100);
        const said = `${isValid ? 'valid' : 'invalid'}, but ${isAccepted ? 'accepted' : 'rejected'}`;
        differences.push(
          `${verb} ${path} ${field}: ${value} is ${said} ${JSON.stringify(answer.errors ?? '')}`,
        );
      }
    }
    expect(differences).toEqual([]);
  });

  it('permit documents that fit into the largest body, in any JSON escapes', () => {
    const { properties = {} } = resolve({ $ref: 'DocumentRequest' });
    const longest = Object.values(properties).reduce((sum, { maxLength = 20 }) => sum + maxLength, 0);
    expect(longest * '\\ud83d\\ude00'.length + 1_000).toBeLessThan(MAX_BODY_BYTES);
  });
});
