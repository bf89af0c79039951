import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(JwtGuard)`: this route accepts only an access token. */
@Injectable()
export class JwtGuard extends MethodGuard {
  protected readonly method = 'jwt';
}
