import { ConflictException, type Type } from '@nestjs/common';
import type { DocumentBuilder } from '@nestjs/swagger';
import type { z } from 'zod';
import type { Challenge } from './challenge.js';
import type { ErrorCode } from './describe.js';
import type { MethodName, Principal, Proof } from './principal.js';
import type { AuthRequest } from './request.js';

/** The exports of a method folder's `index.ts`. */
export interface AuthMethod {
  readonly name: MethodName;
  readonly module: Type;
  /** Authenticates every request. A ceremony, such as a password login, has none and ends in an {@link Issuer}. */
  readonly strategy?: Type<AuthStrategy>;
  /** Issues the credential for the requests after a ceremony. */
  readonly issuer?: Type<Issuer>;
  /** Verifies a factor of an account: the second step of a sign-in, and step-ups. */
  readonly factor?: Type<Factor>;
  /** The schema of the issuer's response, for the OpenAPI document. */
  readonly issued?: z.ZodType;
  readonly entities?: readonly Type[];
  readonly migrations?: readonly Type[];
  /** The security scheme of the OpenAPI document. */
  readonly openapi?: Parameters<DocumentBuilder['addSecurity']>[1];
  /** The errors of an invalid credential, for the OpenAPI document. */
  readonly errors?: readonly ErrorCode[];
  /** Request headers besides the credential's: of routes that name the method, and of every write if it is `ambient`. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  /** Headers that the method adds to responses of any route. */
  readonly responseHeaders?: readonly string[];
  /** The arguments of curl that authenticate with the demo's credential, for the table printed at start. */
  readonly curl?: string;
}

/** A Passport strategy with what the guard needs to choose it and to build a 401. */
export interface AuthStrategy {
  /** The challenge of its 401. */
  readonly challenge: Challenge;
  /** Replaces `challenge` if each 401 needs a new one (a nonce) or several (one per algorithm). */
  challenges?(): readonly [Challenge, ...Challenge[]];
  /** Clients send the credential on their own (a cookie, a TLS certificate): an explicit credential takes precedence. */
  readonly ambient?: boolean;
  /** A request carries a reusable secret (a password, a cookie): see `httpsOnly` of `AuthenticationModule.forRoot`. */
  readonly sendsSecret?: boolean;
  /** Its challenge also names what a valid credential lacked (RFC 6750 section 3.1, RFC 9470). */
  readonly namesRequirement?: boolean;
  /** Whether the request carries a credential of this method. Checks its shape only. */
  claims(request: AuthRequest): boolean;
  /** For an ambient credential: the token that a form of this server must contain in `csrf_token`. */
  csrfToken?(proof: Proof): string;
  /** Passport's method: calls one of `success`, `fail`, `pass`, `redirect` and `error`, which the guard provides. */
  authenticate(request: never, options?: object): unknown;
}

/** Issues a session or a token at the end of a ceremony. */
export interface Issuer {
  /**
   * @param principal the caller, with the proofs of the ceremony and its scopes, if limited
   * @param epoch the account's sign-in generation, read before the proof was checked: a logout everywhere in the
   *   meantime also ends this sign-in
   * @returns the body of the response; headers are set by {@link AuthRequest.setHeader}
   */
  issue(principal: Principal, request: AuthRequest, epoch: number): Promise<object>;

  /** Ends the issued credential that authenticates this request. */
  end(proof: Proof, request: AuthRequest): Promise<void>;

  /**
   * Stores a fresh authentication in the issued credential that authenticates this request.
   * @param principal the caller, with the proof of the issued credential
   * @returns the body of the response, as of {@link issue}
   */
  stepUp(principal: Principal, fresh: Authentication, request: AuthRequest): Promise<object>;
}

/** A logout during a step-up. */
export const signInEnded = () =>
  new ConflictException({ code: 'sign_in_ended', detail: 'This sign-in has ended. Sign in again.' });

/** How and when a person authenticated. */
export type Authentication = Pick<Proof, 'at' | 'amr'>;

/** The proof of a factor, as a person sends it. Each factor reads one member. */
export interface FactorResponse {
  readonly code?: string | undefined;
  readonly password?: string | undefined;
  /** A WebAuthn `AuthenticationResponseJSON`. */
  readonly credential?: Readonly<Record<string, unknown>> | undefined;
}

/** A factor that accounts set up. */
export interface Factor {
  /** Which member {@link verify} reads. Absent: a redirect to a provider proves the factor. */
  readonly responseField?: keyof FactorResponse;
  /** The path of the module script with which a page proves the factor. */
  readonly script?: string;
  /** Replaces another second factor once, so it does not make an account require one, and is removed with the last one. */
  readonly isBackup?: true;

  /** Prepares a sign-in by this factor alone, without a username: returns the options of a WebAuthn request. */
  beginAlone?(request: AuthRequest): Promise<object>;

  /**
   * Checks the proof of a sign-in by this factor alone.
   * @returns the account, with its epoch from before the check
   * @throws BadCredential for an invalid proof
   */
  verifyAlone?(
    response: FactorResponse,
    request: AuthRequest,
  ): Promise<Pick<Proof, 'amr' | 'credentialId'> & { accountId: string; epoch: number }>;

  /** Removes the factor from the account, with a manager as {@link isEnrolled} has it. Every second factor has it. */
  remove?(manager: object, accountId: string): Promise<void>;

  /**
   * Whether the account has set the factor up and can use it now.
   * @param manager TypeORM's `EntityManager`
   */
  isEnrolled(manager: object, accountId: string): Promise<boolean>;

  /** Prepares a proof: returns the options of a WebAuthn request, or sends a code and returns an empty object. */
  begin?(accountId: string, request: AuthRequest): Promise<object>;

  /**
   * Checks a proof and uses it up. The caller limits the number of attempts.
   * @param response has the member {@link responseField}
   * @returns the `amr` of this factor alone (RFC 8176)
   * @throws BadCredential for an invalid proof
   */
  verify?(
    accountId: string,
    response: FactorResponse,
    request: AuthRequest,
  ): Promise<Pick<Proof, 'amr' | 'credentialId'>>;
}
