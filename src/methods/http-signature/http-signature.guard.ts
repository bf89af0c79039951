import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/index.js';

/** `@UseGuards(HttpSignatureGuard)`: this route takes signed requests and nothing else. */
@Injectable()
export class HttpSignatureGuard extends MethodGuard {
  protected readonly method = 'http-signature';
}
