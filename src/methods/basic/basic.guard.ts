import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(BasicGuard)`: this route takes a username and a password and nothing else. */
@Injectable()
export class BasicGuard extends MethodGuard {
  protected readonly method = 'basic';
}
