import { SetMetadata, applyDecorators } from '@nestjs/common';
import { z } from 'zod';

/** A status and the `code` of its problem, such as `409 too_many_credentials`. */
export type ErrorCode = `${number} ${string}`;

/** The parts of an operation of the OpenAPI document that no other decorator contains. */
export interface Description {
  /** An imperative, such as `Create an API key`. */
  readonly summary: string;
  /** The body of a success. Absent: the response is empty. */
  readonly response?: z.ZodType;
  /** The errors of the handler itself, not those of guards and pipes. */
  readonly errors?: readonly ErrorCode[];
  /** The headers of a success that the handler sets, such as `ETag`. */
  readonly headers?: readonly string[];
  /** Further media types of the response, such as `text/html`. */
  readonly media?: readonly string[];
  /** Further statuses of a success, with their bodies. */
  readonly alternatives?: Readonly<Record<number, z.ZodType | undefined>>;
}

/** The errors of routes that list, change or end credentials: see `assertMayManageCredentials`. */
export const MANAGE_ERRORS = ['403 limited_credential', '404 not_found'] as const satisfies ErrorCode[];

/** The errors of routes that also require a recent sign-in: see `assertRecentSignIn`. */
export const RECENT_SIGN_IN_ERRORS = [
  '401 insufficient_user_authentication',
  '403 limited_credential',
  '403 reauthentication_required',
] as const satisfies ErrorCode[];

export const DESCRIPTION = 'describe:route';
export const ROUTE_ERRORS = 'describe:errors';
export const TAG = 'describe:tag';

/** Describes a route in the OpenAPI document. The name of the handler is its operation id, unique in the application. */
export const Describe = (summary: string, rest: Omit<Description, 'summary'> = {}) =>
  SetMetadata(DESCRIPTION, { summary, ...rest } satisfies Description);

/** The errors of a guard that another decorator adds to a route. */
export const RouteErrors = (...errors: readonly ErrorCode[]) => SetMetadata(ROUTE_ERRORS, errors);

/** The group of a controller's routes. The routes of a method are in the group with its name. */
export const Tag = (name: string, description: string) => SetMetadata(TAG, { name, description });

/**
 * Leaves routes out of the OpenAPI document. Sets the metadata of `ApiExcludeController` and `ApiExcludeEndpoint` of
 * `@nestjs/swagger`, which is too large to load at start.
 */
export const ExcludeFromOpenApi = () =>
  applyDecorators(
    SetMetadata('swagger/apiExcludeController', [true]),
    SetMetadata('swagger/apiExcludeEndpoint', { disable: true }),
  );

/** A list without pages. */
export const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

/** Text of `min` to `max` characters: code points, as JSON Schema and PostgreSQL count. `z.string().max()` counts UTF-16 units. */
export const text = (max: number, min = 0) =>
  z
    .string()
    .refine((value) => {
      if (value.length > 2 * max) return false;
      const { length } = [...value];
      return length >= min && length <= max;
    }, `must have ${min} to ${max} characters`)
    .meta({ ...(min && { minLength: min }), maxLength: max });

/** The response of an issuer; the document lists those of the installed methods. */
export const Issued = z.looseObject({}).meta({ id: 'Issued' });
/** The caller's new credential, after all sign-ins ended. Empty if no issuer issued the one before. */
export const Reissued = z.union([Issued, z.strictObject({})]);
/** The name of an issuer; the document lists the installed ones. */
export const IssuerName = z.string().max(40).meta({ id: 'IssuerName' });

const Actor = z
  .object({
    sub: z.string(),
    get act() {
      return Actor.optional();
    },
  })
  .meta({ id: 'Actor' });

/** The response that shows the caller's `Principal`. */
export const PrincipalView = z
  .object({
    id: z.string(),
    kind: z.enum(['user', 'client']),
    tenantId: z.string(),
    roles: z.array(z.string()),
    scopes: z.array(z.string()).optional(),
    authorizationDetails: z
      .array(z.object({ type: z.string(), identifier: z.string(), actions: z.array(z.string()) }))
      .optional(),
    proofs: z.array(
      z.object({
        method: z.string(),
        credentialId: z.string().optional(),
        at: z.date(),
        amr: z.array(z.string()),
        bound: z.boolean(),
        signIn: z.literal(true).optional(),
        restricted: z.literal(true).optional(),
        client: z.string().optional(),
        act: Actor.optional(),
      }),
    ),
  })
  .meta({ id: 'Principal' });
