import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { authRequestOf, rejectCrossSiteWrite } from '../authentication/request.js';
import { Settings } from '../config/settings.js';

/** `@UseGuards(SameOriginGuard)`: forms of a person who has not signed in, so that there is no token of a session to check. */
@Injectable()
export class SameOriginGuard implements CanActivate {
  constructor(private readonly settings: Settings) {}

  /** @throws ForbiddenException `cross_site_request` */
  canActivate(context: ExecutionContext): boolean {
    rejectCrossSiteWrite(authRequestOf(context), (origin) => this.settings.isOwnOrigin(origin));
    return true;
  }
}
