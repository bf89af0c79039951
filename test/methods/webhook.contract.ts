import { randomBytes } from 'node:crypto';
import { SecretBox } from '../../src/crypto/secret-box.js';
import { withWebhook } from '../../src/methods/webhook/webhook.client.js';
import { WebhookSource } from '../../src/methods/webhook/webhook.entity.js';
import { WebhookGuard } from '../../src/methods/webhook/webhook.guard.js';
import { WebhookModule } from '../../src/methods/webhook/webhook.module.js';
import {
  parseSecret,
  newMessageId,
  newRequestId,
  newSecret,
  sign,
} from '../../src/methods/webhook/webhook.js';
import type { Contract } from '../method.contract.js';

const attempt = {
  id: newRequestId('GET', '/demo/webhook'),
  timestamp: Math.floor(Date.now() / 1000),
  body: Buffer.alloc(0),
};
const unknownSource = {
  'Webhook-Source': 'src_nobody',
  'webhook-id': attempt.id,
  'webhook-timestamp': String(attempt.timestamp),
  'webhook-signature': sign(parseSecret(newSecret())!, attempt),
};

export const contract: Contract = {
  name: 'webhook',
  challenge: 'Webhook realm="auth-atlas"',
  code: 'invalid_webhook',
  guard: WebhookGuard,
  bound: true,
  once: true,
  header: 'webhook-signature',
  empty: { ...unknownSource, 'webhook-signature': '' },
  malformed: [
    { 'webhook-signature': unknownSource['webhook-signature'] },
    { ...unknownSource, 'webhook-signature': 'v1' },
    { ...unknownSource, 'webhook-signature': 'v1,' },
    { ...unknownSource, 'webhook-id': 'a.b' },
    { ...unknownSource, 'webhook-id': newMessageId() },
    { ...unknownSource, 'webhook-timestamp': 'now' },
    { ...unknownSource, 'Webhook-Source': '' },
  ],
  costly: {
    headers: { ...unknownSource, 'webhook-signature': Array(7_500).fill('v').join(' ') },
  },
  unknown: unknownSource,
  issue: async ({ app, db }, userId) => {
    const [id, secret] = [`src_${randomBytes(12).toString('hex')}`, newSecret()];
    const box = app.select(WebhookModule).get(SecretBox, { strict: true });
    await db.manager.insert(WebhookSource, {
      id,
      userId,
      name: 'contract',
      secret: box.seal(secret, id),
      scopes: null,
      createdAt: new Date(),
    });
    const change = async (changes: Partial<WebhookSource>) =>
      void (await db.manager.update(WebhookSource, { id }, changes));
    return {
      sign: withWebhook({ source: id, secret }),
      revoke: () => change({ revokedAt: new Date() }),
      expire: () => change({ expiresAt: new Date() }),
    };
  },
};
