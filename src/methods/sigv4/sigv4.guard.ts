import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(SigV4Guard)`: the route accepts only SigV4 signatures. */
@Injectable()
export class SigV4Guard extends MethodGuard {
  protected readonly method = 'sigv4';
}
