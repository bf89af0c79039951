import { Controller, Get, type Type } from '@nestjs/common';
import { Authenticate, Caller, SelfService, allOf, anyOf } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import type { MethodName, Principal } from '../authentication/principal.js';

/** Named without an import, because each of these methods can be removed. Its routes are then missing. */
const [MTLS, JWT, HMAC] = ['mtls', 'jwt', 'hmac'] as MethodName[] as [MethodName, MethodName, MethodName];

@Controller('demo')
@SelfService()
class AllOfController {
  /** Requires a client certificate and a JWT of the same account. */
  @Get('all-of')
  @Authenticate(allOf(MTLS, JWT))
  show(@Caller() caller: Principal): Principal {
    return caller;
  }
}

@Controller('demo')
@SelfService()
class AnyOfController {
  /** Accepts an HMAC signature, or a client certificate with a JWT. */
  @Get('any-of')
  @Authenticate(anyOf(HMAC, allOf(MTLS, JWT)))
  show(@Caller() caller: Principal): Principal {
    return caller;
  }
}

const REQUIRED_METHODS: readonly [Type, readonly MethodName[]][] = [
  [AllOfController, [MTLS, JWT]],
  [AnyOfController, [HMAC, MTLS, JWT]],
];

/** The controllers whose methods are all installed. */
export const combinedControllers = (methods: readonly AuthMethod[]): Type[] =>
  REQUIRED_METHODS.filter(([, names]) =>
    names.every((name) => methods.some((method) => method.name === name)),
  ).map(([controller]) => controller);
