import { ForbiddenException, HttpException, HttpStatus } from '@nestjs/common';
import type { MethodName, Principal } from './principal.js';

/** What a challenge has besides its parameters, where it has more. */
export interface ChallengeOptions {
  /** The parameters that are written as tokens: Digest's `stale` may not be quoted (RFC 7616, section 3.5). */
  readonly tokens?: readonly string[];
  /** Fields that go on the answer with it, such as `Accept-Signature` (RFC 9421, section 5.1). */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One challenge of a `WWW-Authenticate` field (RFC 9110, section 11.6.1): a scheme and its parameters, each
 * written as a quoted-string, so that no value can end the string early.
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

/** A quoted-string (RFC 9110, section 5.6.4); what cannot stand in one is dropped. */
const quoted = (value: string) =>
  `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, (character) => `\\${character}`)}"`;

/** A credential was sent, and it is wrong. A method throws it, and the guard answers 401 with the method's challenge. */
export class BadCredential extends Error {
  /**
   * @param code goes to the caller: stable, lower_snake_case, the same for all that must look alike
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

  /** Whose credential it is, or was to be: for the log, where that is known. */
  account?: Pick<Principal, 'id' | 'tenantId'>;

  ofAccount({ id, tenantId }: Pick<Principal, 'id' | 'tenantId'>): this {
    this.account = { id, tenantId };
    return this;
  }
}

/** Which credential was refused and why: for the log and the counters, never for the caller. */
export interface RefusedCredential {
  readonly method: MethodName;
  readonly reason: string;
  readonly account?: BadCredential['account'];
}

/** 401. Carries the challenges that RFC 9110, section 15.5.2, asks of every 401. */
export class Unauthenticated extends HttpException {
  readonly headers: Readonly<Record<string, string | string[]>>;

  /** @param refusal where a credential was sent and is wrong, rather than absent */
  constructor(
    readonly challenges: readonly Challenge[],
    readonly code = 'unauthenticated',
    detail = 'Authentication required. See the WWW-Authenticate header.',
    readonly refusal?: RefusedCredential,
  ) {
    super({ code, detail }, HttpStatus.UNAUTHORIZED);
    this.headers = headersOf(challenges);
  }
}

function headersOf(challenges: readonly Challenge[]): Readonly<Record<string, string | string[]>> {
  const fields = challenges.map(({ options }) => options.headers);
  return Object.assign({}, ...fields, { 'WWW-Authenticate': challenges.map(String) });
}

/** What would be enough: scopes that the credential lacks, or a sign-in of another kind, so many seconds ago at the most. */
export type Requirement =
  { readonly scopes: readonly string[] } | { readonly acr: string; readonly maxAge: number };

/** 403 to a caller who could do it with another credential. Where its method has words for that, the answer says with which. */
export class InsufficientCredential extends ForbiddenException {
  constructor(
    readonly detail: string,
    readonly need: Requirement,
  ) {
    super({ code: 'forbidden', detail });
  }
}

/** 403 with the scopes that are missing (RFC 6750, section 3.1). */
export class InsufficientScope extends ForbiddenException {
  readonly headers: Readonly<Record<string, string | string[]>>;

  constructor(challenges: readonly Challenge[]) {
    super({
      code: 'insufficient_scope',
      detail: "The credential's scopes do not allow this.",
    });
    this.headers = headersOf(challenges);
  }
}
