import type { Provider } from 'oidc-provider';

/** What the engine says where a client asks for a grant that it was not registered for. */
const NOT_ITS_GRANT = /^(requested grant type|urn:\S+) is not allowed for this client$/;
const EVENTS = ['grant.error', 'device_authorization.error', 'backchannel_authentication.error'] as const;

/** Where the engine's answer is not the word that the RFC has for it (RFC 6749, section 5.2; RFC 8628 and CIBA refer to it). */
export function correct(provider: Provider): void {
  for (const event of EVENTS)
    provider.on(event as 'grant.error', (ctx, { error_description }) => {
      if (NOT_ITS_GRANT.test(error_description ?? ''))
        ctx.body = { error: 'unauthorized_client', error_description } satisfies object;
    });
}
