import { Controller, Get, type Type } from '@nestjs/common';
import { Authenticate, Caller, SelfService, allOf, anyOf } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import type { MethodName, Principal } from '../authentication/principal.js';

/** By name only: any of them may be removed, and then the routes that need it are not there. */
const [MTLS, JWT, HMAC] = ['mtls', 'jwt', 'hmac'] as MethodName[] as [MethodName, MethodName, MethodName];

@Controller('demo')
@SelfService()
class AllOf {
  /** A token that is of no use without the certificate, and a certificate that is of none without the token. */
  @Get('all-of')
  @Authenticate(allOf(MTLS, JWT))
  show(@Caller() caller: Principal): Principal {
    return caller;
  }
}

@Controller('demo')
@SelfService()
class AnyOf {
  /** A signature alone, or both of the others. */
  @Get('any-of')
  @Authenticate(anyOf(HMAC, allOf(MTLS, JWT)))
  show(@Caller() caller: Principal): Principal {
    return caller;
  }
}

const NEEDED: readonly [Type, readonly MethodName[]][] = [
  [AllOf, [MTLS, JWT]],
  [AnyOf, [HMAC, MTLS, JWT]],
];

/** The routes that ask for several methods, as far as those are installed. */
export const combinedControllers = (methods: readonly AuthMethod[]): Type[] =>
  NEEDED.filter(([, names]) => names.every((name) => methods.some((method) => method.name === name))).map(
    ([controller]) => controller,
  );
