import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(MtlsGuard)`: this route takes a client certificate and nothing else. */
@Injectable()
export class MtlsGuard extends MethodGuard {
  protected readonly method = 'mtls';
}
