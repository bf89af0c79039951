import { newMessageId, newRequestId, parseSecret, sign } from './webhook.js';

/** Signs a request to any route of the API: `fetch(await withWebhook({ source, secret })(new Request(url)))`. */
export const withWebhook =
  ({ source, secret }: { source: string; secret: string }) =>
  async (request: Request): Promise<Request> => {
    const { pathname, search } = new URL(request.url);
    const body = new Uint8Array(await request.clone().arrayBuffer());
    const headers = signatureHeaders([secret], newRequestId(request.method, pathname + search), body);
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    request.headers.set('Webhook-Source', source);
    return request;
  };

export interface WebhookEvent {
  /** For example `document.updated`. */
  readonly type: string;
  /** When the event happened: RFC 3339. */
  readonly timestamp: string;
  readonly data: object;
}

/**
 * Signs an event for its receiver: `fetch(url, { method: 'POST', ...signedEvent(secret, event) })`.
 * @param secret the receiver's secret; during a rotation the new one and the old one
 * @param id use the same id when you send the event again
 */
export function signedEvent(
  secret: string | readonly string[],
  event: WebhookEvent,
  id = newMessageId(),
): { headers: Record<string, string>; body: string } {
  const body = JSON.stringify(event);
  const headers = signatureHeaders([secret].flat(), id, Buffer.from(body));
  return { headers: { 'Content-Type': 'application/json', ...headers }, body };
}

/** The headers of a delivery attempt at the current time. */
function signatureHeaders(secrets: readonly string[], id: string, body: Uint8Array): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000);
  const signatures = secrets.map((secret) => {
    const key = parseSecret(secret);
    if (!key) throw new Error('The secret of a webhook is whsec_ and the base64 of 24 to 64 bytes.');
    return sign(key, { id, timestamp, body });
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}
