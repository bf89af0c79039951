import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(SessionGuard)`: this route accepts only a session. */
@Injectable()
export class SessionGuard extends MethodGuard {
  protected readonly method = 'session';
}
