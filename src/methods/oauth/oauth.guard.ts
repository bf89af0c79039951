import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(OauthGuard)`: the route accepts only an OAuth access token. */
@Injectable()
export class OauthGuard extends MethodGuard {
  protected readonly method = 'oauth';
}
