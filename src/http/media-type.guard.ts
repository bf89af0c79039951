import {
  Injectable,
  UnsupportedMediaTypeException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { CONSUMES, type MediaType } from '../authentication/plan.js';
import { rawRequest } from '../authentication/request.js';
import { requestBody } from './bodies.js';

/**
 * Refuses a body that the route does not take. A form, which any page in a browser can send to any server without being
 * asked first, reaches only a route that says so.
 */
@Injectable()
export class MediaTypeGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const body = requestBody(rawRequest(context.switchToHttp().getRequest()));
    const taken = this.reflector.getAllAndOverride<readonly MediaType[] | undefined>(CONSUMES, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (body && !(taken ?? ['json']).includes(body.media)) throw new UnsupportedMediaTypeException();
    return true;
  }
}
