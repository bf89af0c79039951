import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(HttpSignatureGuard)`: this route takes signed requests and nothing else. */
@Injectable()
export class HttpSignatureGuard extends MethodGuard {
  protected readonly method = 'http-signature';
}
