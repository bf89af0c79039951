import {
  BadRequestException,
  Injectable,
  NotFoundException,
  StandardSchemaValidationPipe,
  UnprocessableEntityException,
  type ArgumentMetadata,
} from '@nestjs/common';
import type { FieldError } from './problem.js';

type Issue = Parameters<StandardSchemaValidationPipe['exceptionFactory']>[0][number];

/** However many fields are wrong, an answer names no more than these. */
const MAX_ERRORS = 50;

/**
 * Holds what comes in against the schema of its parameter: `@Body({ schema })`, `@Query({ schema })`,
 * `@Param({ schema })`.
 *
 * @throws UnprocessableEntityException `invalid_body`, BadRequestException `invalid_query`, each naming the fields;
 *   NotFoundException for a path parameter that cannot name anything
 */
@Injectable()
export class InputPipe extends StandardSchemaValidationPipe {
  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    const { schema, type } = metadata;
    if (!schema || !this.toValidate(metadata)) return value;
    const result = await this.validate<T>(value, schema, this.validateOptions);
    const errors = result.issues ? result.issues.flatMap(fieldErrors) : unstorable(value);
    if (!result.issues && !errors.length) return result.value;
    if (type === 'param') throw new NotFoundException();
    const named = (whole: string) =>
      errors.slice(0, MAX_ERRORS).map((error) => ({ ...error, field: error.field || whole }));
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

/** zod puts all unknown keys into one issue; here each gets its own entry. */
function fieldErrors(issue: Issue): FieldError[] {
  const path = (issue.path ?? []).map((segment) =>
    String(typeof segment === 'object' ? segment.key : segment),
  );
  const { keys } = issue as { readonly keys?: readonly string[] };
  if (!keys) return [{ field: path.join('.'), message: issue.message }];
  return keys.map((key) => ({ field: [...path, key].join('.'), message: 'Unknown field.' }));
}

/**
 * Text that the databases cannot keep as it came: NUL, which PostgreSQL refuses, and half of a surrogate pair, which
 * has no UTF-8.
 */
function unstorable(value: unknown, path: readonly string[] = []): FieldError[] {
  if (typeof value === 'string')
    return wrong(value)
      ? [{ field: path.join('.'), message: 'Must not contain NUL or an unpaired surrogate.' }]
      : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    unstorable(wrong(key) ? key : each, [...path, wrong(key) ? '?' : key]),
  );
}

const wrong = (text: string) => /\0|\p{Surrogate}/u.test(text);
