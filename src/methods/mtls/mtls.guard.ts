import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(MtlsGuard)`: this route accepts only a client certificate. */
@Injectable()
export class MtlsGuard extends MethodGuard {
  protected readonly method = 'mtls';
}
