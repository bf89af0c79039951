import { Catch, HttpException, HttpStatus, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import type { MethodName, Principal } from './principal.js';

/** Rare parts of a challenge. */
export interface ChallengeOptions {
  /** Parameters written as tokens: Digest's `stale` may not be quoted (RFC 7616 section 3.5). */
  readonly tokens?: readonly string[];
  /** Headers sent with it, such as `Accept-Signature` (RFC 9421 section 5.1). */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1): a scheme and its parameters. Each value
 * is a quoted-string, so that it cannot end the string early.
 */
export class Challenge {
  constructor(
    readonly scheme: string,
    readonly params: Readonly<Record<string, string>> = {},
    readonly options: ChallengeOptions = {},
  ) {}

  /** The same challenge with more parameters, such as `error`. */
  with(params: Readonly<Record<string, string>>): Challenge {
    return new Challenge(this.scheme, { ...this.params, ...params }, this.options);
  }

  toString(): string {
    const written = (name: string, value: string) =>
      this.options.tokens?.includes(name) && TOKEN.test(value) ? value : quoted(value);
    const params = Object.entries(this.params).map(([name, value]) => `${name}=${written(name, value)}`);
    return params.length ? `${this.scheme} ${params.join(', ')}` : this.scheme;
  }
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** A quoted-string (RFC 9110 section 5.6.4) without the characters that it may not contain. */
const quoted = (value: string) =>
  `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, (character) => `\\${character}`)}"`;

/** Thrown by a strategy for an invalid credential. The guard responds with 401 and the method's challenge. */
export class BadCredential extends Error {
  /**
   * @param code goes to the caller; the same for all failures that must look alike
   * @param reason goes to the log only
   * @param params are added to the challenge, such as RFC 6750's `error`
   */
  constructor(
    readonly code: string,
    readonly reason: string,
    readonly params: Readonly<Record<string, string>> = {},
  ) {
    super(reason);
    this.name = 'BadCredential';
  }

  /** The account of the credential, if it is known. For the log only. */
  account?: Pick<Principal, 'id' | 'tenantId'>;

  ofAccount({ id, tenantId }: Pick<Principal, 'id' | 'tenantId'>): this {
    this.account = { id, tenantId };
    return this;
  }
}

/** The rejected credential and the reason: for the log and the counters, never for the caller. */
export interface RejectedCredential {
  readonly method: MethodName;
  readonly reason: string;
  readonly account?: BadCredential['account'];
}

/** 401 with the challenges that RFC 9110 section 15.5.2 requires. */
export class Unauthenticated extends HttpException {
  readonly headers: Readonly<Record<string, string | string[]>>;

  /**
   * @param rejectedCredential present if a credential was sent and is invalid
   * @param members further members of the problem (RFC 9457 section 3.2)
   */
  constructor(
    readonly challenges: readonly Challenge[],
    readonly code = 'unauthenticated',
    detail = 'Authentication required. See the WWW-Authenticate header.',
    readonly rejectedCredential?: RejectedCredential,
    members?: Readonly<Record<string, unknown>>,
  ) {
    super({ code, detail, ...(members && { members }) }, HttpStatus.UNAUTHORIZED);
    this.headers = headersOf(challenges);
  }
}

export function headersOf(challenges: readonly Challenge[]): Readonly<Record<string, string | string[]>> {
  const fields = challenges.map(({ options }) => options.headers);
  return Object.assign({}, ...fields, { 'WWW-Authenticate': challenges.map(String) });
}

/** Adds the challenges to a 401, in an application without an exception filter of its own. */
@Catch(Unauthenticated)
export class ChallengeFilter extends BaseExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {
    super(host.httpAdapter);
  }

  override catch(error: Unauthenticated, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    for (const [name, value] of Object.entries(error.headers))
      this.host.httpAdapter.setHeader(response, name, value as string);
    super.catch(error, context);
  }
}
