import type { ArgumentsHost, ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { Principal } from './principal.js';
import { authRequest, rawRequest, type AuthRequest } from './request.js';

const callers = new WeakMap<IncomingMessage, Principal>();

export const setCaller = (context: ExecutionContext, principal: Principal): void => {
  callers.set(rawRequest(context.switchToHttp().getRequest()), principal);
};

export const findCaller = (context: ArgumentsHost): Principal | undefined =>
  callers.get(rawRequest(context.switchToHttp().getRequest()));

/** @throws Error on a public route, where nobody was asked: a fault of the code, so a 500 */
export function callerOf(context: ExecutionContext): Principal {
  const principal = findCaller(context);
  if (!principal) throw new Error('This route is public, so it has no caller.');
  return principal;
}

export const authRequestOf = (context: ExecutionContext): AuthRequest =>
  authRequest(context.switchToHttp().getRequest(), context.switchToHttp().getResponse());
