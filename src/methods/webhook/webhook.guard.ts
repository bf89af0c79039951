import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(WebhookGuard)`: this route takes what a source has signed and nothing else. */
@Injectable()
export class WebhookGuard extends MethodGuard {
  protected readonly method = 'webhook';
}
