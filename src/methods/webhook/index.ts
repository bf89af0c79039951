import type { AuthMethod } from '../../authentication/method.js';
import { WebhookMessage, WebhookSource } from './webhook.entity.js';
import { Webhooks1700000404000 } from './webhook.migration.js';

declare module '../../authentication/principal.js' {
  interface AuthMethods {
    webhook: true;
  }
}

export const name = 'webhook';
export { WebhookModule as module } from './webhook.module.js';
export { WebhookStrategy as strategy } from './webhook.strategy.js';
export const entities = [WebhookSource, WebhookMessage];
export const migrations = [Webhooks1700000404000];
export const openapi: AuthMethod['openapi'] = {
  type: 'apiKey',
  in: 'header',
  name: 'webhook-signature',
  description:
    'Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature`; `Webhook-Source` names the signer',
};
export const errors: AuthMethod['errors'] = ['401 invalid_webhook', '403 forbidden'];
export const requestHeaders = {
  'webhook-id': 'The id of the message, the same in each attempt to send it.',
  'webhook-timestamp': 'The time of the attempt, in seconds since 1970.',
  'Webhook-Source': 'The id of the source that signed.',
};
