import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(HmacGuard)`: the route accepts only requests signed with HMAC. */
@Injectable()
export class HmacGuard extends MethodGuard {
  protected readonly method = 'hmac';
}
