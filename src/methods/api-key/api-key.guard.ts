import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(ApiKeyGuard)`: the route accepts API keys only. */
@Injectable()
export class ApiKeyGuard extends MethodGuard {
  protected readonly method = 'api-key';
}
