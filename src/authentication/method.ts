import type { Type } from '@nestjs/common';
import type { DocumentBuilder } from '@nestjs/swagger';
import type { Challenge } from './challenge.js';
import type { MethodName, Principal, Proof } from './principal.js';
import type { AuthRequest } from './request.js';

/** A method folder's face: what its `index.ts` exports, name by name. */
export interface AuthMethod {
  readonly name: MethodName;
  readonly module: Type;
  /** Proves every request. A ceremony (a login, a passkey) has none: it ends in an {@link Issuer}. */
  readonly strategy?: Type<AuthStrategy>;
  /** Turns a finished ceremony into something that proves the requests to come. */
  readonly issuer?: Type<Issuer>;
  readonly entities?: readonly Type[];
  readonly migrations?: readonly Type[];
  /** How the OpenAPI document describes it. */
  readonly openapi?: Parameters<DocumentBuilder['addSecurity']>[1];
  /** The arguments that make curl sign in with the demo data, for the table printed at start. `ORIGIN` is the server's. */
  readonly curl?: string;
}

/** A Passport strategy that also says which requests are its own. */
export interface AuthStrategy {
  /** What its 401 asks for. */
  readonly challenge: Challenge;
  /** What goes out in its place where a 401 needs one of its own (a nonce), or offers several (one for each algorithm). */
  challenges?(): readonly [Challenge, ...Challenge[]];
  /** True for what is sent without being asked (a cookie, a TLS certificate): it yields to anything explicit. */
  readonly ambient?: boolean;
  /** True where whoever reads one request can sign in (a password, a cookie): see `httpsOnly` of {@link AuthenticationModule.forRoot}. */
  readonly sendsSecret?: boolean;
  /** True where its challenge also says what a good credential lacked (RFC 6750, RFC 9470), so that its holder can get it. */
  readonly namesRequirement?: boolean;
  /** Is a credential of mine here? Looks only at its shape and costs next to nothing. */
  claims(request: AuthRequest): boolean;
  /** Passport's: ends in one of `success`, `fail`, `pass`, `redirect` and `error`, which the guard lends it. */
  authenticate(request: never, options?: object): unknown;
}

/** What ends a ceremony: a session's cookie, a token. */
export interface Issuer {
  /**
   * @param principal who signed in, with the proofs of the ceremony and a ceiling of scopes, if any
   * @param epoch the account's, read before its proof was looked at: what began before all sign-ins of the account
   *   were ended is over before it starts
   * @returns the response's body; headers go on the answer by {@link AuthRequest.setHeader}
   */
  issue(principal: Principal, request: AuthRequest, epoch: number): Promise<object>;

  /** Ends what was issued and now proves this request. */
  end(proof: Proof, request: AuthRequest): Promise<void>;
}
