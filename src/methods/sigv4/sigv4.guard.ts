import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(SigV4Guard)`: this route takes a SigV4 signature and nothing else. */
@Injectable()
export class SigV4Guard extends MethodGuard {
  protected readonly method = 'sigv4';
}
