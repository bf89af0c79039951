import { Controller, Get, type Type } from '@nestjs/common';
import { Describe, PrincipalView, Tag } from '../authentication/describe.js';
import { Authenticate, Caller, SelfService, allOf, anyOf } from '../authentication/plan.js';
import type { AuthMethod } from '../authentication/method.js';
import type { MethodName, Principal } from '../authentication/principal.js';

export const DEMO_TAG = 'The caller as each route sees it, and the installed methods.';

/** Named without an import, because each of these methods can be removed. Its routes are then missing. */
const [MTLS, JWT, HMAC] = ['mtls', 'jwt', 'hmac'] as MethodName[] as [MethodName, MethodName, MethodName];

@Controller('demo')
@Tag('Demo', DEMO_TAG)
@SelfService()
class AllOfController {
  /** Requires a client certificate and a JWT of the same account. */
  @Get('all-of')
  @Describe('Show the caller, by a client certificate and a JWT', { response: PrincipalView })
  @Authenticate(allOf(MTLS, JWT))
  showAllOfCaller(@Caller() caller: Principal): Principal {
    return caller;
  }
}

@Controller('demo')
@Tag('Demo', DEMO_TAG)
@SelfService()
class AnyOfController {
  /** Accepts an HMAC signature, or a client certificate with a JWT. */
  @Get('any-of')
  @Describe('Show the caller, by HMAC, or a client certificate and a JWT', { response: PrincipalView })
  @Authenticate(anyOf(HMAC, allOf(MTLS, JWT)))
  showAnyOfCaller(@Caller() caller: Principal): Principal {
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
