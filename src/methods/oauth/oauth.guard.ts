import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(OauthGuard)`: this route takes an OAuth access token and nothing else. */
@Injectable()
export class OauthGuard extends MethodGuard {
  protected readonly method = 'oauth';
}
