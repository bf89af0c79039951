import { z } from 'zod';

export interface Converted {
  readonly schema: object;
  /** The schemas with an `id`, by it. */
  readonly components: Readonly<Record<string, object>>;
}

/** The input pipe rejects these characters in every text. */
const STORABLE_TEXT = '^[^\\u0000\\ud800-\\udfff]*$';

/** A zod schema as JSON Schema 2020-12, the dialect of OpenAPI 3.1. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): Converted {
  const {
    $schema: _dialect,
    $defs = {},
    ...converted
  } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema instanceof z.ZodDate) Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
      delete jsonSchema.id;
      if (io === 'input' && jsonSchema.type === 'string') addStorableText(jsonSchema);
    },
  });
  const components = JSON.parse(
    JSON.stringify($defs).replaceAll('"#/$defs/', '"#/components/schemas/'),
  ) as Record<string, object>;
  const own = JSON.parse(
    JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/'),
  ) as object;
  return { schema: own, components };
}

function addStorableText(schema: z.core.JSONSchema.BaseSchema): void {
  // An anchored pattern of ours lists the allowed characters.
  if (schema.enum || schema.const !== undefined || schema.pattern?.startsWith('^')) return;
  if (schema.pattern === undefined) schema.pattern = STORABLE_TEXT;
  else schema.allOf = [{ pattern: STORABLE_TEXT }];
}
