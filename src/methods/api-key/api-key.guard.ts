import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(ApiKeyGuard)`: this route takes an API key and nothing else. */
@Injectable()
export class ApiKeyGuard extends MethodGuard {
  protected readonly method = 'api-key';
}
