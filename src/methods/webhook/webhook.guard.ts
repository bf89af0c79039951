import { Injectable } from '@nestjs/common';
import { MethodGuard } from '../../authentication/authenticate.guard.js';

/** `@UseGuards(WebhookGuard)`: the route accepts only requests signed by a webhook source. */
@Injectable()
export class WebhookGuard extends MethodGuard {
  protected readonly method = 'webhook';
}
