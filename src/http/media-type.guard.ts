import {
  Injectable,
  UnsupportedMediaTypeException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import './request-body.js';
import { CONSUMES, type MediaType } from '../authentication/plan.js';
import { rawRequest, requestOf } from '../authentication/request.js';

/**
 * Rejects a body of a media type that the route does not accept. A browser sends a form to any site without a CORS
 * preflight, so a route accepts forms only if it declares `@Consumes('form')`.
 */
@Injectable()
export class MediaTypeGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const body = rawRequest(requestOf(context)).requestBody;
    if (!body) return true;
    const accepted = this.reflector.getAllAndOverride<readonly MediaType[] | undefined>(CONSUMES, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (!(accepted ?? ['json']).includes(body.media)) throw new UnsupportedMediaTypeException();
    return true;
  }
}
