import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(DpopGuard)`: this route accepts only access tokens with a DPoP proof. */
@Injectable()
export class DpopGuard extends MethodGuard {
  protected readonly method = 'dpop';
}
