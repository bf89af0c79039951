import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(HmacGuard)`: this route takes a signed request and nothing else. */
@Injectable()
export class HmacGuard extends MethodGuard {
  protected readonly method = 'hmac';
}
