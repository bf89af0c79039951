import { Injectable, type CanActivate, type ExecutionContext, type Type } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';
import { authRequestOf, findCaller } from '../../authentication/request.js';
import { Unauthenticated } from '../../authentication/challenge.js';
import {
  BODY_COMPONENT,
  InvalidSignature,
  REQUIRED_COMPONENTS,
  assertCovered,
  findSignature,
  parseSignatures,
} from './http-signature.js';
import { INVALID_HTTP_SIGNATURE, signatureChallenge } from './http-signature.strategy.js';

/** `@UseGuards(HttpSignatureGuard)`: this route accepts only signed requests. */
@Injectable()
export class HttpSignatureGuard extends MethodGuard {
  protected readonly method = 'http-signature';
}

/**
 * `@UseGuards(mustCover('if-match'))`: on this route a signature must also cover these components (RFC 9421 section 7.2.1).
 * Requests that another method proves are rejected, because nothing of them is signed.
 */
export function mustCover(...components: readonly [string, ...string[]]): Type<CanActivate> {
  @Injectable()
  class CoverageGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      try {
        if (!isSigned(context)) throw new InvalidSignature('the request is not signed');
        const request = authRequestOf(context);
        const signatures = parseSignatures(request.lines('Signature-Input'), request.lines('Signature'));
        assertCovered(findSignature(signatures), components);
        return true;
      } catch (error) {
        if (!(error instanceof InvalidSignature)) throw error;
        throw new Unauthenticated(
          [signatureChallenge([...REQUIRED_COMPONENTS, BODY_COMPONENT, ...components])],
          INVALID_HTTP_SIGNATURE,
          'The signature must also cover the components in the Accept-Signature header.',
        );
      }
    }
  }
  return CoverageGuard;
}

/** True if the strategy has verified the signature of this request. */
const isSigned = (context: ExecutionContext): boolean =>
  findCaller(context)?.proofs.some(({ method }) => method === 'http-signature') ?? false;
