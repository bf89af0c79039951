import {
  BadRequestException,
  Injectable,
  NotFoundException,
  StandardSchemaValidationPipe,
  UnprocessableEntityException,
  type ArgumentMetadata,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { parametersOf } from './described-routes.service.js';
import type { FieldError } from './problem.js';

type ValidationIssue = Parameters<StandardSchemaValidationPipe['exceptionFactory']>[0][number];

const MAX_REPORTED_ERRORS = 50;

/**
 * Validates input with the schema of its parameter: `@Body({ schema })`, `@Query({ schema })`, `@Param({ schema })`.
 *
 * @throws UnprocessableEntityException `invalid_body` naming the fields
 * @throws BadRequestException `invalid_query` naming the fields
 * @throws NotFoundException for an invalid path parameter
 */
@Injectable()
export class InputPipe extends StandardSchemaValidationPipe {
  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    const { schema, type } = metadata;
    if (!schema || !this.toValidate(metadata)) return value;
    const result = await this.validate<T>(value, schema, this.validateOptions);
    const errors = result.issues ? result.issues.flatMap(fieldErrors) : unstorableText(value);
    if (!result.issues && !errors.length) return result.value;
    if (type === 'param') throw new NotFoundException();
    const named = (whole: string) =>
      errors.slice(0, MAX_REPORTED_ERRORS).map((error) => ({ ...error, field: error.field || whole }));
    if (type === 'query')
      throw new BadRequestException({
        code: 'invalid_query',
        detail: 'The query parameters are invalid.',
        errors: named('query'),
      });
    throw new UnprocessableEntityException({
      code: 'invalid_body',
      detail: 'The body is invalid.',
      errors: named('body'),
    });
  }
}

const INPUT_PIPE = new InputPipe();

/**
 * Adds the pipe to every parameter with a schema, before Nest creates the routes. A global pipe would also run for `@Caller()`
 * and all others, with five promises for each.
 */
export function validateParameters(app: INestApplication): void {
  const scanner = new MetadataScanner();
  for (const { metatype } of app.get(DiscoveryService, { strict: false }).getControllers())
    for (const handler of scanner.getAllMethodNames((metatype as Type).prototype as object))
      for (const { schema, pipes } of parametersOf(metatype as Type, handler))
        if (schema && !pipes.includes(INPUT_PIPE)) pipes.unshift(INPUT_PIPE);
}

/** zod reports all unknown keys as one issue. Each becomes an error of its own. */
function fieldErrors(issue: ValidationIssue): FieldError[] {
  const path = (issue.path ?? []).map((segment) =>
    String(typeof segment === 'object' ? segment.key : segment),
  );
  const { keys } = issue as { readonly keys?: readonly string[] };
  if (!keys) return [{ field: path.join('.'), message: issue.message }];
  return keys.map((key) => ({ field: [...path, key].join('.'), message: 'Unknown field.' }));
}

/** Finds text that a database cannot store unchanged: PostgreSQL rejects NUL, and an unpaired surrogate has no UTF-8. */
function unstorableText(value: unknown, path: readonly string[] = []): FieldError[] {
  if (typeof value === 'string')
    return isUnstorable(value)
      ? [{ field: path.join('.'), message: 'Must not contain NUL or an unpaired surrogate.' }]
      : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    unstorableText(isUnstorable(key) ? key : each, [...path, isUnstorable(key) ? '?' : key]),
  );
}

const isUnstorable = (text: string) => /\0|\p{Surrogate}/u.test(text);
