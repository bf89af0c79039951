import { Injectable, type CanActivate, type ExecutionContext, type Type } from '@nestjs/common';
import { Challenge, Unauthenticated } from '../../authentication/challenge.js';
import { authRequestOf } from '../../authentication/caller.js';
import type { AuthRequest } from '../../authentication/request.js';
import {
  REQUIRED_COMPONENTS,
  BODY_COMPONENT,
  InvalidSignature,
  TAG,
  assertCovered,
  type MessageSignature,
} from './http-signature.js';

/** One code for every signature that is no good, whatever is wrong with it; the log has the reason. */
export const CODE = 'invalid_http_signature';

/**
 * What a 401 asks for. `Signature` is a scheme of this project: RFC 9421 has a field that asks for a signature, but every
 * 401 has a challenge (RFC 9110, section 15.5.2), and none of those that are registered says it.
 */
export function challengeFor(components: readonly string[]): Challenge {
  const list = components.map((name) => `"${name}"`).join(' ');
  return new Challenge(
    'Signature',
    { realm: 'auth-atlas' },
    { headers: { 'Accept-Signature': `sig=(${list});created;tag="${TAG}"` } },
  );
}

const proved = new WeakMap<AuthRequest, MessageSignature>();

/** Which signature it was that proved a request. */
export const remember = (request: AuthRequest, signed: MessageSignature) => proved.set(request, signed);

/**
 * `@UseGuards(mustCover('if-match'))`: what a signature must cover on this route, besides what every one must. Not for
 * routes that take other methods as well: what is not signed covers nothing.
 */
export function mustCover(...components: readonly [string, ...string[]]): Type<CanActivate> {
  @Injectable()
  class CoverageGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const signed = proved.get(authRequestOf(context));
      try {
        if (!signed) throw new InvalidSignature('there is no signature');
        assertCovered(signed, components);
        return true;
      } catch (error) {
        if (!(error instanceof InvalidSignature)) throw error;
        const challenge = challengeFor([...REQUIRED_COMPONENTS, BODY_COMPONENT, ...components]);
        throw new Unauthenticated(
          [challenge],
          CODE,
          'The signature does not cover all that this route asks for.',
        );
      }
    }
  }
  return CoverageGuard;
}
