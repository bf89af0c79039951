import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(BasicGuard)`: this route accepts only HTTP Basic. */
@Injectable()
export class BasicGuard extends MethodGuard {
  protected readonly method = 'basic';
}
