import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/index.js';

/** `@UseGuards(DigestGuard)`: this route takes a Digest answer and nothing else. */
@Injectable()
export class DigestGuard extends MethodGuard {
  protected readonly method = 'digest';
}
