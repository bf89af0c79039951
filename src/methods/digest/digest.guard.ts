import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(DigestGuard)`: the route accepts only Digest credentials. */
@Injectable()
export class DigestGuard extends MethodGuard {
  protected readonly method = 'digest';
}
