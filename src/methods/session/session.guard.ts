import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(SessionGuard)`: this route takes a session and nothing else. */
@Injectable()
export class SessionGuard extends MethodGuard {
  protected readonly method = 'session';
}
