import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(JwtGuard)`: this route takes an access token and nothing else. */
@Injectable()
export class JwtGuard extends MethodGuard {
  protected readonly method = 'jwt';
}
