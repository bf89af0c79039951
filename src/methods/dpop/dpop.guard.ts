import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(DpopGuard)`: this route takes access tokens with a proof and nothing else. */
@Injectable()
export class DpopGuard extends MethodGuard {
  protected readonly method = 'dpop';
}
