import type { Provider } from 'oidc-provider';

const NOT_ITS_GRANT = 'requested grant type is not allowed for this client';

/** Where the engine's answer is not the word that the RFC has for it (RFC 6749, section 5.2). */
export function correct(provider: Provider): void {
  provider.on('grant.error', (ctx, { error_description }) => {
    if (error_description === NOT_ITS_GRANT)
      ctx.body = { error: 'unauthorized_client', error_description } satisfies object;
  });
}
