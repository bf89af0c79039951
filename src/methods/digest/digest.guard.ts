import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(DigestGuard)`: this route takes a Digest answer and nothing else. */
@Injectable()
export class DigestGuard extends MethodGuard {
  protected readonly method = 'digest';
}
